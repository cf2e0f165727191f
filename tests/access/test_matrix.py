from __future__ import annotations

from typing import Any

import pytest

from kompass.access import DEFAULT, Action, Matrix, MatrixError, Principal, Role, Rule, decide
from kompass.access.audiences import AUDIENCES, SHARED
from kompass.access.matrix import OVERRIDABLE, load
from kompass.access.table import COMPANIONS, LIMITS, SERVER_WRITTEN, TABLE
from tests.access.world import ME, company, make


def document(overrides: object) -> dict[str, Any]:
    return {
        "_id": "permission-matrix-1.1.0",
        "matrixVersion": "1.1.0",
        "active": True,
        "overrides": overrides,
    }


def problems(overrides: object) -> dict[str, str]:
    with pytest.raises(MatrixError) as caught:
        load(document(overrides))
    return {problem.path: problem.text for problem in caught.value.problems}


def test_without_overrides_it_is_the_table() -> None:
    matrix = load(document({}))
    assert matrix.version == "1.1.0"
    assert matrix.cells == DEFAULT.cells


def test_every_type_has_audiences_and_a_row() -> None:
    assert AUDIENCES.keys() == TABLE.keys()
    assert {doctype for doctype, _ in LIMITS} <= OVERRIDABLE | {"comment"}


def test_a_row_names_only_rules_its_documents_know() -> None:
    for (doctype, _, action), rules in DEFAULT.cells.items():
        known = {face.rule for face in AUDIENCES[doctype] if face.reads or action is not Action.READ}
        assert rules <= known, (doctype, action)


def test_server_written_types_have_no_writers() -> None:
    written = {doctype for doctype, _, action in DEFAULT.cells if action is not Action.READ}
    assert written.isdisjoint(SERVER_WRITTEN)
    assert written >= COMPANIONS


def test_an_override_grants_and_withdraws_without_touching_documents() -> None:
    world = company(customer_mine=False, assigned=False, mine=False)
    tour, lead = make("tour", mine=False), make("lead", mine=False)
    matrix = load(
        document({"tour": {"INNEN": {"read": ["all"]}}, "lead": {"INNEN": {"read": [], "update": []}}})
    )
    innen = Principal(ME, frozenset({Role.INNEN}))
    assert not decide(innen, Action.READ, tour, parents=world).allowed
    assert decide(innen, Action.READ, tour, parents=world, matrix=matrix).allowed
    assert decide(innen, Action.READ, lead, parents=world).allowed
    assert not decide(innen, Action.READ, lead, parents=world, matrix=matrix).allowed
    assert decide(innen, Action.CREATE, lead | {"createdBy": ME, "modifiedBy": ME}, matrix=matrix).allowed


def test_limits_stay_whatever_is_granted() -> None:
    matrix = load(document({"offer": {"KALK": {"delete": ["all"]}}}))
    kalk = Principal(ME, frozenset({Role.KALK}))
    for status, allowed in (("draft", True), ("sent", False)):
        offer = make("offer", mine=False, status=status)
        assert decide(kalk, Action.DELETE, {}, before=offer, matrix=matrix).allowed == allowed


def test_planners_can_be_narrowed_to_their_projects() -> None:
    matrix = load(document({"project": {"PLAN": {"read": ["assigned_project"]}}}))
    plan = Principal(ME, frozenset({Role.PLAN}))
    for assigned in (True, False):
        world = company(customer_mine=False, assigned=assigned, mine=False)
        facts: dict[str, Any] = {"relations": world.relations(), "parents": world, "matrix": matrix}
        assert decide(plan, Action.READ, world["project-x"], **facts).allowed == assigned


@pytest.mark.parametrize(
    ("overrides", "path", "says"),
    [
        ([], "overrides", "must be an object"),
        (None, "overrides", "must be an object"),
        ({"invoice_": {}}, "overrides.invoice_", "allowed are activity, contact"),
        ({"invoice": {}}, "overrides.invoice", "can't be overridden"),
        ({"customer_finance": {}}, "overrides.customer_finance", "can't be overridden"),
        ({"user": {}}, "overrides.user", "can't be overridden"),
        ({"offer": {"CHEF": {}}}, "overrides.offer.CHEF", "ADM, BUCH, GF, INNEN, KALK, PLAN"),
        ({"offer": {"ADMIN": {}}}, "overrides.offer.ADMIN", "can't be overridden"),
        ({"offer": {"ADM": {"approve": []}}}, "overrides.offer.ADM.approve", "create, delete, read, update"),
        ({"offer": {"ADM": {"read": "all"}}}, "overrides.offer.ADM.read", "must be a list of accepted_offer"),
        (
            {"offer": {"ADM": {"read": ["own"]}}},
            "overrides.offer.ADM.read[0]",
            "accepted_offer, all, own_customer",
        ),
        ({"offer": {"ADM": {"read": ["all", 7]}}}, "overrides.offer.ADM.read[1]", "must be one of"),
        ({"customer": {"KALK": {"read": ["own"]}}}, "overrides.customer.KALK.read[0]", "all, own_customer"),
        ({"contract": {"ADM": {"read": []}}}, "overrides.contract.ADM.read", "own_customer"),
        ({"offer": {"KALK": {"read": ["own_customer"]}}}, "overrides.customer_finance.KALK.read", "covers"),
        ({7: {}}, "overrides.7", "can't be overridden"),
    ],
)
def test_unknown_names_are_refused_with_path_and_choice(overrides: object, path: str, says: str) -> None:
    found = problems(overrides)
    assert says in found[path]


def test_everything_that_is_wrong_is_said_at_once() -> None:
    assert len(problems({"x": {}, "offer": {"ADM": {"read": ["y", "z"]}}})) == 3


def test_a_matrix_has_a_version() -> None:
    with pytest.raises(MatrixError, match="matrixVersion"):
        load({"overrides": {}})


def test_shared_audiences_are_whole_in_the_table() -> None:
    """Whoever holds `sales:customer:<id>` reads every type that has it: no role has only some of them."""
    for rule in SHARED:
        types = [doctype for doctype, faces in AUDIENCES.items() if any(face.rule is rule for face in faces)]
        for role in Role:
            read = [DEFAULT.rules(doctype, role, Action.READ) for doctype in types]
            if any(rule in rules for rules in read):
                assert all(rules & {rule, Rule.ALL} for rules in read), (rule, role)


def test_a_matrix_can_not_be_changed() -> None:
    with pytest.raises(AttributeError):
        DEFAULT.version = "2"  # type: ignore[misc]
    with pytest.raises(TypeError):
        DEFAULT.cells["offer", Role.ADM, Action.READ] = frozenset()  # type: ignore[index]
    assert isinstance(DEFAULT, Matrix)
