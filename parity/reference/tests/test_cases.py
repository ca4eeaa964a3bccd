"""Every hand-worked case gives the values that were worked out."""

import pytest
from paths import CASES

from featureplane_reference import cases

pytest.importorskip("tomllib")
ALL = list(cases.load_all(CASES))


@pytest.mark.parametrize("case", [case for _, case in ALL], ids=[name for name, _ in ALL])
def test_case(case):
    assert cases.run(case) == []


def test_every_family_has_three_cases():
    from featureplane_reference.families import FAMILIES

    counts = {family: 0 for family in FAMILIES}
    for _, case in ALL:
        for family in {feature["family"] for feature in case["features"]}:
            counts[family] += 1
    assert all(count >= 3 for count in counts.values()), counts


def test_names_are_unique():
    names = [name for name, _ in ALL]
    assert len(names) == len(set(names))


def test_a_tolerance_is_1e_9_of_the_value_and_holds_for_valid_values_only():
    case = next(case for name, case in ALL if name == "ccxt_hf_v1/golden_row")
    packet = case["packets"][0]

    def wrong(approx, **more):
        expect = {**packet["expect"], "approx": {**packet["expect"]["approx"], **approx}, **more}
        return cases.run({**case, "packets": [{**packet, "expect": expect}]})

    assert wrong({}) == []
    assert wrong({"microprice": "24999.917085427157"}) == []
    assert wrong({"microprice": "24999.917112"})
    assert wrong({"tfi_1s": "0.0"})


def test_a_wrong_expectation_is_found():
    case = {**ALL[0][1], "packets": [dict(packet) for packet in ALL[0][1]["packets"]]}
    case["packets"][0] = {**case["packets"][0], "expect": {"frame": True, "flags": ["LOCKED_BOOK"], "values": {}}}
    assert cases.run(case)
