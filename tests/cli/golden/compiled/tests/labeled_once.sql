SELECT
  id
FROM "label_set.moods"
GROUP BY
  id
HAVING
  COUNT(*) > 1
