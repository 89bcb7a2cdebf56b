CASE
  WHEN (
    (
      (
        CONTAINS(LOWER(CAST("text" AS TEXT)), 'broken')
        OR CONTAINS(LOWER(CAST("text" AS TEXT)), 'terrible')
        OR CONTAINS(LOWER(CAST("text" AS TEXT)), 'waste')
      )
      AND (
        REGEXP_MATCHES(
          LOWER(CAST("text" AS TEXT)),
          '(?:^|[^\p{L}\p{M}\p{N}_])(?:broken|terrible|waste)(?:$|[^\p{L}\p{M}\p{N}_])'
        )
      )
    )
  )
  THEN 1
  ELSE -1
END
