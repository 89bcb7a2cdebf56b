"""The facets of OpenLineage that teachkit fills, each with who made it and the schema that it follows."""

from __future__ import annotations

from typing import Any

from teachkit.version import __version__

PRODUCER = f"urn:teachkit:{__version__}"
SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json"

_VERSIONS = {
    "columnLineage": "1-2-0/ColumnLineageDatasetFacet",
    "dataQualityAssertions": "1-1-0/DataQualityAssertionsDatasetFacet",
    "dataQualityMetrics": "1-0-1/DataQualityMetricsDatasetFacet",
    "errorMessage": "1-0-1/ErrorMessageRunFacet",
    "inputStatistics": "1-0-0/InputStatisticsInputDatasetFacet",
    "jobDocumentation": "1-1-0/DocumentationJobFacet",
    "datasetDocumentation": "1-1-0/DocumentationDatasetFacet",
    "jobType": "2-0-4/JobTypeJobFacet",
    "outputStatistics": "1-0-2/OutputStatisticsOutputDatasetFacet",
    "parent": "1-2-0/ParentRunFacet",
    "processing_engine": "1-1-1/ProcessingEngineRunFacet",
    "schema": "1-2-0/SchemaDatasetFacet",
    "sourceCode": "1-0-1/SourceCodeJobFacet",
    "sourceCodeLocation": "1-1-0/SourceCodeLocationJobFacet",
    "sql": "1-1-0/SQLJobFacet",
    "version": "1-0-1/DatasetVersionDatasetFacet",
}


def facet(name: str, /, **fields: Any) -> dict[str, Any]:
    """A facet; fields that are None are left out. Names of our own (``teachkit_…``) follow the schema of any facet."""
    known = _VERSIONS.get(name)
    if known is None:
        url = f"{SPEC}#/$defs/RunFacet"
    else:
        url = f"https://openlineage.io/spec/facets/{known}.json#/$defs/{known.partition('/')[2]}"
    return {"_producer": PRODUCER, "_schemaURL": url, **{k: v for k, v in fields.items() if v is not None}}
