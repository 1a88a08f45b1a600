import pytest

from service.access import admit, scope_of
from service.api_keys import KeyRing, Scope, make_key, write_keys
from service.replies import Refused

NEAR, NEAR_6, FAR = "127.0.0.1", "::1", "10.1.2.3"


def request(path: str, *, client: str = FAR, headers: dict[str, str] | None = None) -> dict:
    sent = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    return {"type": "http", "path": path, "client": (client, 1234), "headers": sent}


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def ring_of(tmp_path, *keys) -> KeyRing:
    file = tmp_path / "keys.toml"
    write_keys(file, [key.kept for key in keys])
    return KeyRing(file)


def refusal(http: dict, keys: KeyRing) -> tuple[int, str]:
    with pytest.raises(Refused) as refused:
        admit(http, keys)
    return refused.value.status, refused.value.code


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/livez", None),
        ("/readyz", None),
        ("/health", None),
        ("/score", Scope.SCORE),
        ("/anything/else", Scope.SCORE),
        ("/console", None),
        ("/console/", None),
        ("/console/static/main.js", None),
        ("/console/api/info", Scope.CONSOLE),
        ("/console/statics", Scope.CONSOLE),
        ("/metrics", Scope.METRICS),
        ("/metrics/", Scope.METRICS),
        ("/admin/reload", Scope.ADMIN),
        ("//admin/reload", Scope.ADMIN),
        ("/docs", Scope.ADMIN),
        ("/docs/oauth2-redirect", Scope.ADMIN),
        ("/redoc", Scope.ADMIN),
    ],
)
def test_each_path_has_its_scope(path, scope) -> None:
    assert scope_of(path) is scope


@pytest.mark.parametrize("path", ["/admin/reload", "/metrics", "/docs", "/redoc"])
def test_without_keys_operators_paths_are_for_this_machine_alone(path) -> None:
    keys = KeyRing(None)

    assert admit(request(path, client=NEAR), keys).name == NEAR
    assert admit(request(path, client=NEAR_6), keys).name == NEAR_6
    assert refusal(request(path, client=FAR), keys) == (401, "missing_api_key")
    assert refusal(request(path, client="not an address"), keys) == (401, "missing_api_key")


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip", "via"])
def test_what_a_proxy_on_this_machine_passes_on_does_not_come_from_this_machine(header) -> None:
    http = request("/admin/reload", client=NEAR, headers={header: NEAR})

    assert refusal(http, KeyRing(None)) == (401, "missing_api_key")


def test_scoring_is_open_until_a_key_for_it_exists(tmp_path) -> None:
    metrics, shop = make_key("prometheus", [Scope.METRICS]), make_key("shop", [Scope.SCORE])

    assert admit(request("/score"), KeyRing(None)).name == FAR
    assert admit(request("/score"), ring_of(tmp_path, metrics)).name == FAR

    keys = ring_of(tmp_path, metrics, shop)
    assert refusal(request("/score"), keys) == (401, "missing_api_key")
    assert refusal(request("/score", client=NEAR), keys) == (401, "missing_api_key")
    assert admit(request("/score", headers=bearer(shop.secret)), keys).name == "shop"
    assert admit(request("/score", headers={"x-api-key": shop.secret}), keys).name == "shop"


def test_a_wrong_key_is_401_and_one_for_another_use_403(tmp_path) -> None:
    shop = make_key("shop", [Scope.SCORE])
    keys = ring_of(tmp_path, shop)

    assert refusal(request("/score", headers=bearer("wrong")), keys) == (401, "invalid_api_key")
    assert refusal(request("/metrics", headers=bearer(shop.secret)), keys) == (403, "forbidden")
    # A key that was shown decides, even on this machine.
    near = request("/metrics", client=NEAR, headers=bearer(shop.secret))
    assert refusal(near, keys) == (403, "forbidden")


def test_an_admin_key_opens_everything_from_anywhere(tmp_path) -> None:
    admin = make_key("operator", [Scope.ADMIN])
    keys = ring_of(tmp_path, admin)

    for path in ("/admin/reload", "/metrics", "/docs", "/score"):
        assert admit(request(path, headers=bearer(admin.secret)), keys).name == "operator"


def test_probes_ask_for_nothing_and_look_at_no_key(tmp_path) -> None:
    keys = ring_of(tmp_path, make_key("shop", [Scope.SCORE]))

    assert admit(request("/readyz", headers=bearer("wrong")), keys).name == FAR
