"""Looking at what was built: tables, votes, the quality of voters."""

from teachkit.review.analyze import TaskAnalysis, analyze_task
from teachkit.review.tables import query, show

__all__ = ["TaskAnalysis", "analyze_task", "query", "show"]
