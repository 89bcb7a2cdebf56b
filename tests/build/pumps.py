"""A small project about reviews of pumps, for what is tried on few items whose gold and split are known one by one."""

from __future__ import annotations


def pumps(rows: str) -> dict[str, str]:
    """Its files; ``rows`` are the CSV of its items: id, text, mood (+ or -), split."""
    return {
        "teachkit.yml": "name: reviews\n",
        "data/reviews.csv": rows,
        "sources/shop.yml": "sources: [{name: shop, tables: [{name: reviews, path: data/reviews.csv}]}]\n",
        "transforms/reviews.sql": "select * from {{ source('shop', 'reviews') }}\n",
        "tasks/mood.yml": """
            tasks:
              - name: mood
                labels: [good, bad]
                dataset: ref('reviews')
                key: id
                gold: {column: mood, values: {"+": good, "-": bad}}
                splits: {column: split}
            """,
    }
