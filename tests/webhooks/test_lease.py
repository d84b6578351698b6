"""The lease of the deliverer: one thread has it at a time, and what replaces all documents leaves it to the first."""

import pytest

from layers_standin.webhooks.lease import DELIVERER, Lease, LeaseLost

pytestmark = pytest.mark.postgres


@pytest.fixture
def lease(store):
    return Lease(store, DELIVERER)


def check(store, lease):
    with store.db.transaction():
        lease.check()


def test_one_has_it_until_it_is_released(store, lease):
    other = Lease(store, DELIVERER)
    assert lease.hold()
    assert not other.hold()
    with pytest.raises(LeaseLost):
        check(store, other)

    lease.release()

    assert other.hold()
    assert not Lease(store, DELIVERER).hold()
    with pytest.raises(LeaseLost):
        check(store, lease)


def test_who_has_it_keeps_it_over_a_reset(store, control, lease):
    assert lease.hold()
    control.post("/reset")
    check(store, lease)
    assert not Lease(store, DELIVERER).hold()


def test_a_snapshot_brings_back_no_lease_of_who_is_gone(store, control, lease):
    assert Lease(store, DELIVERER).hold()
    control.post("/snapshots", name="before")
    control.post("/reset")
    assert lease.hold()

    control.post("/snapshots/before/restore")

    check(store, lease)
