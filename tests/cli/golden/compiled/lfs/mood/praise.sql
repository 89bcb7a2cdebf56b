CASE
  WHEN (
    (
      (
        CONTAINS(LOWER(CAST("text" AS TEXT)), 'excellent')
        OR CONTAINS(LOWER(CAST("text" AS TEXT)), 'great')
        OR CONTAINS(LOWER(CAST("text" AS TEXT)), 'love')
      )
      AND (
        REGEXP_MATCHES(
          LOWER(CAST("text" AS TEXT)),
          '(?:^|[^\p{L}\p{M}\p{N}_])(?:excellent|great|love)(?:$|[^\p{L}\p{M}\p{N}_])'
        )
      )
    )
  )
  THEN 0
  ELSE -1
END
