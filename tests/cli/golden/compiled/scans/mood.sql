-- 0: lf.mood.refund (labeling_functions/mood/refund.sql:1)
-- 1: lf.mood.stars (labeling_functions/mood/stars.sql:1)
-- 2: lf.mood.praise (labeling_functions/mood/words.yml:2:5)
-- 3: lf.mood.blame (labeling_functions/mood/words.yml:3:5)
SELECT
  CAST(CASE WHEN (
    CONTAINS(LOWER(text), 'refund')
  ) THEN 1 ELSE -1 END AS TINYINT) AS "0:vote",
  CAST(CASE
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
  END AS TINYINT) AS "1:vote",
  CAST(CASE
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
  END AS TINYINT) AS "2:vote",
  CAST(CASE
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
  END AS TINYINT) AS "3:vote"
FROM "transform.reviews"
