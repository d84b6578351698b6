"""The engine against a dict: any order of changes, rollbacks, reopenings, compactions and replacements of all,
seen from two sides.
"""

import tempfile
from copy import deepcopy
from pathlib import Path

import pytest
from engine_helpers import as_documents, by_rank, contents, put
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from engines.disk import Disk
from engines.errors import NoSnapshot
from engines.journal import Journal

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
    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.here, self.there = self.open(), self.open()
        self.model = {}
        self.saved = {}

    def open(self):
        return Journal(Path(self.folder.name), lists=RULES, disk=Disk(syncing=False))

    def apply(self, journal, made, model):
        """Make changes to journal and model alike, whichever way the document goes in or out."""
        for (table, partition), doc_id, record in made:
            documents = model.setdefault((table, partition), {})
            if record is None:
                documents.pop(doc_id, None)
                journal.table(table, partition).remove(doc_ids=[doc_id])
            else:
                documents[doc_id] = record | {"rank": doc_id}
                put(journal, doc_id, documents[doc_id], table, partition)
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
        journal = self.side(second)
        with journal.transaction():
            self.apply(journal, made, self.model)
            try:
                with journal.transaction():
                    self.apply(journal, lost, deepcopy(self.model))
                    raise RolledBack
            except RolledBack:
                pass
            assert contents_in_transaction(journal, self.model) == without_empty(self.model)
            self.apply(journal, more, self.model)

    @rule(lost=changes, second=st.booleans())
    def roll_back(self, lost, second):
        journal = self.side(second)
        try:
            with journal.transaction():
                model = self.apply(journal, lost, deepcopy(self.model))
                assert contents_in_transaction(journal, model) == without_empty(model)
                raise RolledBack
        except RolledBack:
            pass

    @rule(second=st.booleans())
    def compact(self, second):
        assert self.side(second).compact().documents == sum(map(len, self.model.values()))

    @rule(made=changes, second=st.booleans())
    def replace_all(self, made, second):
        self.model = without_empty(in_model(made))
        self.side(second).replace_all(as_documents(self.model))

    @rule(name=names, second=st.booleans())
    def save(self, name, second):
        self.side(second).save(name, {"number": len(self.saved)})
        self.saved[name] = (len(self.saved), deepcopy(self.model))

    @rule(name=names, second=st.booleans())
    def restore(self, name, second):
        if name in self.saved:
            self.side(second).restore(name)
            self.model = deepcopy(self.saved[name][1])
        else:
            with pytest.raises(NoSnapshot):
                self.side(second).restore(name)

    @rule()
    def reopen(self):
        self.here.close()
        self.here = self.open()

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
        for journal in (self.here, self.there):
            assert [each[:3] for each in journal.saved()] == told

    @invariant()
    def both_sides_list_what_the_model_lists(self):
        for table, partition in (("t", ""), ("t", "org"), ("u", "org")):
            documents = self.model.get((table, partition), {})
            for group in "xy":
                placed = sorted((d for d, record in documents.items() if group in record["groups"]), reverse=True)
                for journal in (self.here, self.there):
                    assert journal.walk(table, partition, group, most=9) == placed

    def teardown(self):
        self.here.close()
        self.there.close()
        self.folder.cleanup()


def in_model(made):
    """Return the model of a store that was empty before these changes."""
    model = {}
    for space, doc_id, record in made:
        if record is not None:
            model.setdefault(space, {})[doc_id] = record | {"rank": doc_id}
    return model


def without_empty(model):
    return {space: documents for space, documents in model.items() if documents}


def contents_in_transaction(journal, model):
    """Return what the open transaction sees; `tables()` lists only what is committed."""
    return without_empty({space: {d.doc_id: dict(d) for d in journal.table(*space)} for space in model})


Engine.TestCase.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
TestEngine = Engine.TestCase
