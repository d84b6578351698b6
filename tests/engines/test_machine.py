"""Each engine against a dict: changes, rollbacks, reopenings and replacements of all in any order, from two sides."""

from copy import deepcopy
from functools import partial

import pytest
from engine_helpers import as_documents, by_rank, contents, engine_at, put, save
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from layers_standin.engines.errors import NoSnapshot

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

spaces = st.sampled_from([("t", ""), ("t", "org"), ("u", "org")])
ids = st.sampled_from("abc")
names = st.sampled_from(["first", "second"])
records = st.fixed_dictionaries(
    {"groups": st.lists(st.sampled_from("xy"), unique=True), "text": st.text(st.characters(codec="utf-8"), max_size=3)}
)
changes = st.lists(st.tuples(spaces, ids, st.none() | records), max_size=4)
RULES = {"t": by_rank, "u": by_rank}


class RolledBack(Exception):
    pass


class Engine(RuleBasedStateMachine):
    def __init__(self, new_sort_key):
        super().__init__()
        self.place = new_sort_key()
        self.here, self.there = self.open(), self.open()
        self.model = {}
        self.saved = {}

    def open(self):
        return engine_at(self.place, indexes=RULES)

    def apply(self, engine, made, model):
        """Make changes to engine and model alike, whichever way the document goes in or out."""
        for (table, partition), doc_id, record in made:
            documents = model.setdefault((table, partition), {})
            if record is None:
                documents.pop(doc_id, None)
                engine.table(table, partition).remove(doc_ids=[doc_id])
            else:
                documents[doc_id] = record | {"rank": doc_id}
                put(engine, doc_id, documents[doc_id], table, partition)
        return model

    def side(self, second):
        return self.there if second else self.here

    @rule(made=changes, second=st.booleans())
    def change_one_by_one(self, made, second):
        self.apply(self.side(second), made, self.model)

    @rule(made=changes, second=st.booleans())
    def change_in_one_transaction(self, made, second):
        with self.side(second).transaction():
            self.apply(self.side(second), made, self.model)

    @rule(made=changes, lost=changes, more=changes, second=st.booleans())
    def fail_within_a_transaction(self, made, lost, more, second):
        engine = self.side(second)
        with engine.transaction():
            self.apply(engine, made, self.model)
            try:
                with engine.savepoint():
                    self.apply(engine, lost, deepcopy(self.model))
                    raise RolledBack
            except RolledBack:
                pass
            assert contents_in_transaction(engine, self.model) == without_empty(self.model)
            self.apply(engine, more, self.model)

    @rule(lost=changes, second=st.booleans())
    def roll_back(self, lost, second):
        engine = self.side(second)
        try:
            with engine.transaction():
                model = self.apply(engine, lost, deepcopy(self.model))
                assert contents_in_transaction(engine, model) == without_empty(model)
                raise RolledBack
        except RolledBack:
            pass

    @rule(made=changes, second=st.booleans())
    def replace_all(self, made, second):
        self.model = without_empty(in_model(made))
        self.side(second).replace_all(as_documents(self.model))

    @rule(name=names, second=st.booleans())
    def save(self, name, second):
        save(self.side(second), name, {"number": len(self.saved)})
        self.saved[name] = (len(self.saved), deepcopy(self.model))

    @rule(name=names, second=st.booleans())
    def restore(self, name, second):
        if name in self.saved:
            self.side(second).restore_snapshot(name)
            self.model = deepcopy(self.saved[name][1])
        else:
            with pytest.raises(NoSnapshot):
                self.side(second).restore_snapshot(name)

    @rule(both=st.booleans())
    def reopen(self, both):
        """Close one side or, so that somebody is the last to close it, both."""
        self.here.close()
        if both:
            self.there.close()
            self.there = self.open()
        self.here = self.open()

    @rule(second=st.booleans())
    def go_on_after_closing(self, second):
        self.side(second).close()

    @invariant()
    def both_sides_hold_what_the_model_holds(self):
        assert contents(self.here) == contents(self.there) == without_empty(self.model)

    @invariant()
    def both_sides_count_what_the_model_holds(self):
        for space, documents in self.model.items():
            assert self.here.count(*space) == self.there.count(*space) == len(documents)

    @invariant()
    def both_sides_tell_what_was_saved(self):
        told = [(name, {"number": n}, sum(map(len, model.values()))) for name, (n, model) in sorted(self.saved.items())]
        for engine in (self.here, self.there):
            assert [each[:3] for each in engine.list_snapshots()] == told

    @invariant()
    def both_sides_list_what_the_model_lists(self):
        for table, partition in (("t", ""), ("t", "org"), ("u", "org")):
            documents = self.model.get((table, partition), {})
            for group in "xy":
                placed = sorted((d for d, record in documents.items() if group in record["groups"]), reverse=True)
                for engine in (self.here, self.there):
                    assert engine.scan(table, partition, group, limit=9) == placed

    def teardown(self):
        self.here.close()
        self.there.close()


def in_model(made):
    """Return the model of a store that was empty before these changes."""
    model = {}
    for space, doc_id, record in made:
        if record is not None:
            model.setdefault(space, {})[doc_id] = record | {"rank": doc_id}
    return model


def without_empty(model):
    return {space: documents for space, documents in model.items() if documents}


def contents_in_transaction(engine, model):
    """Return what the open transaction sees; `tables()` lists only what is committed."""
    return without_empty({space: {d.doc_id: dict(d) for d in engine.table(*space)} for space in model})


def test_an_engine_does_as_a_dict_does(request, kind, tmp_path_factory):
    if kind == "sqlite":
        new_sort_key, examples = partial(tmp_path_factory.mktemp, "store"), 60
    else:
        new_sort_key, examples = request.getfixturevalue("server_of_databases").emptied, 30
    rules = settings(max_examples=examples, stateful_step_count=20, deadline=None)
    run_state_machine_as_test(partial(Engine, new_sort_key), settings=rules)
