WITH counted AS (
  SELECT
    stars,
    LENGTH(text) - LENGTH(REPLACE(text, ' ', '')) + 1 AS words
  FROM "transform.reviews"
)
SELECT
  stars,
  AVG(words) AS words,
  COUNT(*) AS n
FROM counted
GROUP BY
  stars
