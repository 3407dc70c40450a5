"""An evaluation asks a library its golden questions, and says where the right scenarios stand."""

from uuid import UUID

import pytest

from staffroom.database.vector_ops import VectorOperations
from staffroom.errors import InputError, SearchError
from staffroom.evaluation.own import MODES, OwnEvaluation, evaluate_own
from tests.fakes import WordEmbedder

SITUATIONS = {
    "noise": "The whole class talks loudly after lunch.",
    "late": "Pupils arrive long after the bell rings.",
    "homework": "Nobody hands homework in on time.",
    "phone": "A phone buzzes under the desk in every lesson.",
}


@pytest.fixture
async def scenarios(vector_ops: VectorOperations) -> dict[str, UUID]:
    return {
        name: await vector_ops.store_scenario(name, description)
        for name, description in SITUATIONS.items()
    }


async def test_a_library_without_golden_questions_gives_an_empty_result(
    vector_ops: VectorOperations, scenarios: dict[str, UUID]
) -> None:
    found = await evaluate_own(vector_ops)

    assert found == OwnEvaluation(threshold=vector_ops.threshold)


async def test_an_empty_library_gives_an_empty_result(vector_ops: VectorOperations) -> None:
    assert (await evaluate_own(vector_ops)).questions == ()


async def test_each_mode_is_measured_on_every_question(
    vector_ops: VectorOperations, scenarios: dict[str, UUID]
) -> None:
    first = await vector_ops.golden.add(SITUATIONS["noise"], {scenarios["noise"]: 2}, "")
    second = await vector_ops.golden.add(
        SITUATIONS["late"], {scenarios["late"]: 2, scenarios["phone"]: 0}, ""
    )
    found = await evaluate_own(vector_ops)

    assert found.measures.keys() == set(MODES)
    for measures in found.measures.values():
        assert measures["recall@5"] == measures["ndcg@10"] == measures["mrr@10"] == 1.0
        assert measures["found"] == 2
        assert 0 <= measures["answered"] <= 1
    assert {question.golden_id: question.ranks for question in found.questions} == {
        first.id: dict.fromkeys(MODES, 1),
        second.id: dict.fromkeys(MODES, 1),
    }
    assert found.unusable == 0


async def test_a_right_scenario_that_comes_later_has_its_rank(
    vector_ops: VectorOperations, scenarios: dict[str, UUID]
) -> None:
    await vector_ops.golden.add(SITUATIONS["noise"], {scenarios["homework"]: 1}, "")
    ranking = (await vector_ops.search(SITUATIONS["noise"], 10, 0.0, mode="meaning")).matches
    rank = [match.scenario.id for match in ranking].index(scenarios["homework"]) + 1
    found = await evaluate_own(vector_ops, ["meaning"])

    assert rank > 1
    assert found.questions[0].ranks == {"meaning": rank}
    assert found.measures["meaning"]["mrr@10"] == pytest.approx(1 / rank)
    assert found.measures["meaning"]["ndcg@10"] < 1


async def test_a_right_scenario_that_is_not_published_is_not_found(
    vector_ops: VectorOperations, scenarios: dict[str, UUID]
) -> None:
    await vector_ops.golden.add(SITUATIONS["noise"], {scenarios["noise"]: 2}, "")
    await vector_ops.update_scenario(scenarios["noise"], {"status": "retired"})
    found = await evaluate_own(vector_ops)

    assert found.questions[0].ranks == dict.fromkeys(MODES)
    assert {measures["found"] for measures in found.measures.values()} == {0}
    assert {measures["recall@5"] for measures in found.measures.values()} == {0.0}


async def test_a_question_whose_right_scenario_was_deleted_is_counted_and_not_asked(
    vector_ops: VectorOperations, scenarios: dict[str, UUID]
) -> None:
    await vector_ops.golden.add("Gone?", {scenarios["late"]: 2}, "")
    await vector_ops.delete_scenario(scenarios["late"])
    nothing = await evaluate_own(vector_ops)
    await vector_ops.golden.add(SITUATIONS["noise"], {scenarios["noise"]: 2}, "")
    found = await evaluate_own(vector_ops)

    assert (nothing.unusable, nothing.questions, nothing.measures) == (1, (), {})
    assert (found.unusable, len(found.questions)) == (1, 1)


async def test_a_mode_is_measured_once_and_another_is_refused(
    vector_ops: VectorOperations, scenarios: dict[str, UUID]
) -> None:
    await vector_ops.golden.add(SITUATIONS["noise"], {scenarios["noise"]: 2}, "")

    assert list((await evaluate_own(vector_ops, ["words", "words"])).measures) == ["words"]
    with pytest.raises(InputError, match="the mode is 'luck'"):
        await evaluate_own(vector_ops, ["luck"])  # type: ignore[list-item]


async def test_a_search_that_fails_ends_the_run(
    vector_ops: VectorOperations, embedder: WordEmbedder, scenarios: dict[str, UUID]
) -> None:
    for number in range(6):
        await vector_ops.golden.add(f"Loud {number}?", {scenarios["noise"]: 2}, "")

    class Broken(WordEmbedder):
        async def embed(self, texts: object, role: object) -> object:  # type: ignore[override]
            raise SearchError("the model broke off")

    broken = VectorOperations(vector_ops._database, Broken())  # type: ignore[arg-type]
    with pytest.raises(SearchError, match="broke off"):
        await evaluate_own(broken, ["meaning"])
