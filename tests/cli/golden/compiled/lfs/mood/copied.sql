SELECT
  id,
  'bad' AS label
FROM (
  SELECT
    id,
    COUNT(*) OVER (PARTITION BY text) AS n
  FROM "transform.reviews"
)
WHERE
  n > 4
