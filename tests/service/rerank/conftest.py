import pytest
from starlette.testclient import TestClient

from service.fakes import StandingService
from tests.service.rerank.asking import make_client


@pytest.fixture(scope="module")
def service(snapshot) -> StandingService:
    return StandingService(snapshot)


@pytest.fixture(scope="module")
def client(service) -> TestClient:
    return make_client(service)
