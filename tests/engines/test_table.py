"""TinyDB's table on each engine: what its documentation promises, on a real file or server."""

from contextlib import contextmanager

import pytest
from engine_helpers import bytes_of, contents, opened, put, stored
from tinydb import where
from tinydb.operations import add, delete, increment
from tinydb.operations import set as set_field
from tinydb.table import Document

from layers_standin.engines.indexes import IndexEntry
from layers_standin.engines.table import Table

pytestmark = pytest.mark.postgres


@pytest.fixture
def engine(place):
    with opened(place) as engine:
        yield engine


@pytest.fixture
def elsewhere(place, engine):
    """The same folder or database as another process sees it."""
    with opened(place) as other:
        yield other


@pytest.fixture
def people(engine):
    table = engine.table("people", "org")
    for doc_id, name, age in [("a", "Ada", 36), ("b", "Bob", 20), ("c", "Cyd", 20)]:
        table.insert(Document({"name": name, "age": age}, doc_id=doc_id))
    return table


def rows(table):
    return {document.doc_id: dict(document) for document in table}


def test_an_inserted_document_gets_a_string_id_and_is_found_by_it(engine):
    table = engine.table("people")
    doc_id = table.insert({"name": "Ada"})
    assert isinstance(doc_id, str)
    assert table.get(doc_id=doc_id) == {"name": "Ada"}
    assert table.get(doc_id=doc_id).doc_id == doc_id


def test_ids_sort_in_the_order_they_were_given_out_to_the_millisecond(engine):
    table = engine.table("people")
    first, second = table.insert({}), table.insert({})
    assert first != second
    assert first[:10] <= second[:10]


def test_an_id_that_is_there_is_not_inserted_again(people):
    before = rows(people)
    with pytest.raises(ValueError, match="already exists"):
        people.insert(Document({"name": "Eve"}, doc_id="a"))
    assert rows(people) == before


def test_many_are_inserted_at_once_or_none(people):
    ids = people.insert_multiple([{"name": "Dan"}, Document({"name": "Eve"}, doc_id="e")])
    assert ids[1] == "e"
    assert people.get(doc_id=ids[0]) == {"name": "Dan"}
    before = rows(people)
    with pytest.raises(ValueError, match="already exists"):
        people.insert_multiple([{"name": "Fay"}, Document({"name": "Eve"}, doc_id="e")])
    assert rows(people) == before


def test_documents_are_found_by_condition_and_by_id(people):
    assert people.get(where("name") == "Bob").doc_id == "b"
    assert people.get(where("name") == "Nob") is None
    assert people.get(doc_id="nobody") is None
    assert [found.doc_id for found in people.get(doc_ids=["c", "a", "x"])] == ["a", "c"]
    assert [found.doc_id for found in people.search(where("age") == 20)] == ["b", "c"]
    assert people.search(where("age") == 21) == []


def test_counting_and_containing(people):
    assert len(people) == 3
    assert people.count(where("age") == 20) == 2
    assert people.contains(where("name") == "Ada")
    assert not people.contains(where("name") == "Nob")
    assert people.contains(doc_id="a")
    assert not people.contains(doc_id="x")
    assert [document["name"] for document in people.all()] == ["Ada", "Bob", "Cyd"]


def test_a_table_is_counted_as_it_is_listed_whatever_a_transaction_has_changed_so_far(engine, people):
    def counts():
        return [(engine.count("people", part), len(engine.ids("people", part))) for part in ("org", "other")]

    assert counts() == [(3, 3), (0, 0)]
    with engine.transaction():
        people.insert(Document({"name": "Dan"}, doc_id="d"))
        people.insert(Document({"name": "Dan"}, doc_id="e"))
        people.remove(doc_ids=["a", "d"])
        with pytest.raises(ZeroDivisionError), engine.savepoint():
            people.update({"age": 1}, doc_ids=["b"])
            people.truncate()
            engine.table("people", "other").insert({})
            assert counts() == [(0, 0), (1, 1)]
            1 / 0  # noqa: B018
        assert counts() == [(3, 3), (0, 0)]
        people.remove(doc_ids=["b"])
        assert counts() == [(2, 2), (0, 0)]
    assert counts() == [(2, 2), (0, 0)]


@pytest.mark.parametrize(
    ("change", "choice", "changed"),
    [
        pytest.param({"age": 1}, {"doc_ids": ["b"]}, {"b": 1}, id="fields, by id"),
        pytest.param({"age": 1}, {"cond": where("age") == 20}, {"b": 1, "c": 1}, id="fields, by condition"),
        pytest.param({"age": 1}, {}, {"a": 1, "b": 1, "c": 1}, id="fields, all"),
        pytest.param(increment("age"), {"doc_ids": ["b", "x"]}, {"b": 21}, id="function, by id"),
        pytest.param(add("age", 2), {"cond": where("age") > 30}, {"a": 38}, id="function, by condition"),
        pytest.param(set_field("age", 0), {"cond": where("age") > 99}, {}, id="no match"),
    ],
)
def test_an_update_changes_what_it_names_and_nothing_else(people, elsewhere, change, choice, changed):
    expected = rows(people)
    for doc_id, age in changed.items():
        expected[doc_id]["age"] = age
    assert people.update(change, **choice) == list(changed)
    assert rows(people) == expected
    assert rows(elsewhere.table("people", "org")) == expected


def test_an_update_can_take_a_field_away(people):
    people.update(delete("age"), doc_ids=["a"])
    assert people.get(doc_id="a") == {"name": "Ada"}


def test_several_updates_at_once(people):
    changes = [({"age": 1}, where("name") == "Ada"), (increment("age"), where("age") == 20)]
    assert people.update_multiple(changes) == ["a", "b", "c"]
    assert [document["age"] for document in people] == [1, 21, 21]


def test_upsert_updates_what_is_there_and_inserts_what_is_not(people):
    assert people.upsert({"age": 37}, where("name") == "Ada") == ["a"]
    assert people.get(doc_id="a") == {"name": "Ada", "age": 37}
    (new,) = people.upsert({"name": "Dan"}, where("name") == "Dan")
    assert people.get(doc_id=new) == {"name": "Dan"}
    assert people.upsert(Document({"name": "Eve"}, doc_id="e")) == ["e"]
    assert people.upsert(Document({"age": 9}, doc_id="e")) == ["e"]
    assert people.get(doc_id="e") == {"name": "Eve", "age": 9}


def test_upsert_is_one_step_that_nothing_of_another_process_comes_into(engine, people):
    watched = Observed(engine)
    table = Table(watched, "people", "org")
    table.upsert({"name": "Dan"}, where("name") == "Dan")
    assert table.contains(where("name") == "Dan")
    assert watched.outermost_transactions == 1


def test_removing_by_id_and_by_condition(people, elsewhere):
    assert people.remove(doc_ids=["a", "x"]) == ["a"]
    assert people.remove(where("name") == "Bob") == ["b"]
    assert list(rows(people)) == ["c"]
    assert list(rows(elsewhere.table("people", "org"))) == ["c"]


def test_a_truncated_table_is_empty_and_can_be_filled_again(people, engine, elsewhere):
    people.truncate()
    assert len(people) == 0
    assert people.all() == []
    assert elsewhere.tables() == []
    people.insert(Document({"name": "New"}, doc_id="a"))
    assert rows(people) == {"a": {"name": "New"}}


def test_truncating_lists_the_table_once_and_not_once_for_each_document(engine, people):
    people.insert_multiple({} for _ in range(10))
    watched = Observed(engine)
    Table(watched, "people", "org").truncate()
    assert len(people) == 0
    assert watched.lists_of_ids <= 2


class Observed:
    """An engine that counts what a table asks of it."""

    def __init__(self, engine):
        self._journal = engine
        self.lists_of_ids = 0
        self.outermost_transactions = 0
        self._depth = 0

    def ids(self, *space):
        self.lists_of_ids += 1
        return self._journal.ids(*space)

    @contextmanager
    def transaction(self):
        self.outermost_transactions += self._depth == 0
        self._depth += 1
        with self._journal.transaction():
            yield
        self._depth -= 1

    def __getattr__(self, name):
        return getattr(self._journal, name)


def test_partitions_and_tables_never_meet(engine):
    spaces = [("people", "one"), ("people", "two"), ("places", "one")]
    for number, space in enumerate(spaces):
        engine.table(*space).insert(Document({"n": number}, doc_id="same"))
    assert contents(engine) == {space: {"same": {"n": number}} for number, space in enumerate(spaces)}
    engine.table("people", "one").truncate()
    assert sorted(engine.tables()) == spaces[1:]


def test_nothing_handed_out_is_live(people):
    people.insert(Document({"tags": ["x"], "deep": {"y": 1}}, doc_id="d"))
    by_id, by_condition, among_all = people.get(doc_id="d"), people.get(where("deep").y == 1), people.all()[3]
    for handed_out in (by_id, by_condition, among_all, people.search(where("tags").exists())[0]):
        handed_out["tags"].append("changed")
        handed_out["deep"]["y"] = 2
    assert people.get(doc_id="d") == {"tags": ["x"], "deep": {"y": 1}}


def test_what_was_put_in_is_not_live_either(people):
    given = {"tags": ["x"]}
    doc_id = people.insert(given)
    given["tags"].append("changed")
    assert people.get(doc_id=doc_id) == {"tags": ["x"]}


def test_each_change_is_seen_at_once_through_another_process(engine, elsewhere):
    here, there = engine.table("t"), elsewhere.table("t")
    doc_id = here.insert({"n": 1})
    assert there.get(doc_id=doc_id) == {"n": 1}
    there.update({"n": 2}, doc_ids=[doc_id])
    assert here.get(doc_id=doc_id) == {"n": 2}
    here.remove(doc_ids=[doc_id])
    assert there.get(doc_id=doc_id) is None
    assert len(there) == 0


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(float("nan"), id="NaN"),
        pytest.param(float("inf"), id="infinity"),
        pytest.param([{"deep": -float("inf")}], id="infinity deep inside"),
        pytest.param([None, float("nan")], id="NaN beside null"),
        pytest.param("\ud800", id="half a surrogate pair"),
        pytest.param({1: 2}, id="a key that is no string"),
        pytest.param({1, 2}, id="a set"),
        pytest.param(b"bytes", id="bytes"),
        pytest.param(object(), id="an object"),
        pytest.param(2**64, id="a number too large"),
    ],
)
def test_what_is_not_json_is_refused_and_nothing_changed(place, people, engine, value):
    before, bytes_before = rows(people), bytes_of(engine)
    with pytest.raises(TypeError):
        people.insert({"value": value})
    with pytest.raises(TypeError):
        people.insert_multiple([{"name": "Dan"}, {"value": value}])
    with pytest.raises(TypeError):
        people.update({"value": value}, doc_ids=["a"])
    assert rows(people) == before
    assert bytes_of(engine) == bytes_before
    people.insert(Document({"name": "Dan"}, doc_id="d"))
    assert stored(place)["people", "org"] == before | {"d": {"name": "Dan"}}


@pytest.mark.parametrize("value", [None, [None, 1.5], "null", {"null": None}, "\0", "🦊", -0.0, 2**63, True])
def test_what_is_json_comes_back_as_it_was(people, value):
    assert people.get(doc_id=people.insert({"value": value})) == {"value": value}


@pytest.mark.parametrize("odd", ["", "\0", "a\\0", "a\0\\", "🦊", "'", "%s", "x" * 5000])
def test_what_a_document_is_named_comes_back_as_it_was(place, odd):
    with opened(place, indexes={odd: lambda document: [IndexEntry(odd, odd)]}) as engine:
        put(engine, odd, {"n": 1}, odd, odd)
        assert contents(engine) == {(odd, odd): {odd: {"n": 1}}}
        assert engine.scan(odd, odd, odd) == [odd]
        assert engine.scan(odd, odd, odd, before=odd) == []
        engine.table(odd, odd).remove(doc_ids=[odd])
        assert (engine.tables(), engine.scan(odd, odd, odd)) == ([], [])


@pytest.mark.parametrize("named", ["id", "partition", "table", "sort key"])
def test_what_no_database_can_hold_as_a_name_is_refused_and_nothing_changed(place, named):
    names = dict.fromkeys(["id", "partition", "table"], "a") | {named: "\ud800"}
    placed = "\ud800" if named == "sort key" else "a"
    with opened(place, indexes={"a": lambda document: [IndexEntry("all", placed)]}) as engine:
        before = bytes_of(engine)
        with pytest.raises(ValueError, match="surrogates not allowed"):
            put(engine, names["id"], {}, names["table"], names["partition"])
        if named != "sort key":
            with pytest.raises(ValueError, match="surrogates not allowed"):
                engine.read(names["table"], names["partition"], names["id"])
        assert bytes_of(engine) == before
        put(engine, "b", {}, "b", "b")
        assert contents(engine) == {("b", "b"): {"b": {}}}


def test_an_update_that_changes_nothing_writes_nothing(people, engine):
    before = bytes_of(engine)
    people.update({"age": 20}, doc_ids=["b"])
    people.remove(doc_ids=["x"])
    assert bytes_of(engine) == before


def test_an_update_that_fails_halfway_changes_nothing(people):
    def fail_on_bob(person):
        person["age"] = 1 // (person["name"] != "Bob")

    before = rows(people)
    with pytest.raises(ZeroDivisionError):
        people.update(fail_on_bob)
    assert rows(people) == before


def test_what_another_process_removes_during_a_search_is_left_out(people, elsewhere):
    def remove_bob(person):
        elsewhere.table("people", "org").remove(doc_ids=["b"])
        return True

    assert [found.doc_id for found in people.search(remove_bob)] == ["a", "c"]


def test_a_transaction_sees_its_own_changes_through_the_table(people, engine, elsewhere):
    with engine.transaction():
        people.remove(doc_ids=["a"])
        people.insert(Document({"name": "New"}, doc_id="n"))
        people.update({"age": 1}, doc_ids=["b"])
        assert list(rows(people)) == ["b", "c", "n"]
        assert people.get(doc_id="b")["age"] == 1
        assert len(people) == 3
        assert list(rows(elsewhere.table("people", "org"))) == ["a", "b", "c"]
    assert list(rows(people)) == ["b", "c", "n"]
