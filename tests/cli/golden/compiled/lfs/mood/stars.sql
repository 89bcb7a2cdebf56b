CASE
  WHEN (
    CASE WHEN stars >= 4 THEN 'good' WHEN stars <= 2 THEN 'bad' END
  ) IS NULL
  THEN -1
  ELSE CASE CAST((
      CASE WHEN stars >= 4 THEN 'good' WHEN stars <= 2 THEN 'bad' END
    ) AS TEXT)
    WHEN 'good'
    THEN 0
    WHEN 'bad'
    THEN 1
    ELSE -2
  END
END
