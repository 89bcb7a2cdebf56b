SELECT
  id,
  text,
  stars,
  mood,
  split
FROM "source.shop.reviews"
WHERE
  LENGTH(text) > 0
