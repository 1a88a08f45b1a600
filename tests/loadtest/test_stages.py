import pytest

from loadtest.stages import read_metrics

BEFORE = """
# TYPE relevance_stage_seconds histogram
relevance_stage_seconds_bucket{le="0.1",stage="encode"} 10.0
relevance_stage_seconds_count{stage="encode"} 10.0
relevance_stage_seconds_sum{stage="encode"} 0.02
# TYPE relevance_query_cache_total counter
relevance_query_cache_total{outcome="hit"} 5.0
relevance_query_cache_total{outcome="miss"} 5.0
# TYPE relevance_requests_total counter
relevance_requests_total{route="/score",status="200"} 10.0
"""
AFTER = """
# TYPE relevance_stage_seconds histogram
relevance_stage_seconds_count{stage="encode"} 14.0
relevance_stage_seconds_sum{stage="encode"} 0.032
relevance_stage_seconds_count{stage="score"} 4.0
relevance_stage_seconds_sum{stage="score"} 0.002
# TYPE relevance_query_cache_total counter
relevance_query_cache_total{outcome="hit"} 8.0
relevance_query_cache_total{outcome="miss"} 6.0
"""


def test_stage_times_are_means_of_what_happened_between_two_looks() -> None:
    told = read_metrics(AFTER).since(read_metrics(BEFORE))

    assert told.stage_ms == pytest.approx({"encode": 3.0, "score": 0.5})
    assert told.hit_rate == pytest.approx(0.75)


def test_nothing_asked_means_no_stage_and_no_hit_rate() -> None:
    told = read_metrics(BEFORE).since(read_metrics(BEFORE))

    assert told.stage_ms == {}
    assert told.hit_rate != told.hit_rate
