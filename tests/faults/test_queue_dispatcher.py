"""B43, B44: two dispatchers, and none."""

from concurrent.futures import ThreadPoolExecutor

from tests.faults.harness.waiting import until


def test_B43_two_dispatchers_do_nothing_twice(stack):
    houses = [stack.house(contacts=120) for _ in range(3)]
    second = stack.second("dispatcher2", like=stack.dispatcher)
    until(lambda: "dispatcher_started" in second.log(), 60)
    # Without a broker both deliver by themselves, or would.
    with stack.broker.refuse(), ThreadPoolExecutor() as pool:
        queue_ids = list(pool.map(lambda house: house.send("Hola"), houses))
        for house, queue_id in zip(houses, queue_ids, strict=True):
            house.wait_until_delivered(queue_id)

    # The one that is left goes on alone.
    stack.dispatcher.kill()
    with stack.broker.refuse():
        house = houses[0]
        house.wait_until_delivered(house.send("Hola"))


def test_B44_without_a_dispatcher_messages_leave_and_it_is_told(stack):
    house = stack.house(contacts=120)
    stack.dispatcher.kill()

    queue_id = house.send("Hola")

    house.wait_until_sent(queue_id)
    until(lambda: stack.readyz()[1]["dispatcher"] == "late", 60, tell=stack.readyz)
    assert stack.readyz()[0] == 200
    stack.dispatcher.start()
    house.wait_until_delivered(queue_id)  # the last reports' wake-ups are bundled: some are its own


def test_B44_a_dispatcher_that_comes_back_catches_up(stack):
    house = stack.house(contacts=100)
    stack.dispatcher.kill()
    stack.worker.arm("worker.after_claim", "stop")
    queue_id = house.send("Hola")
    until(lambda: stack.worker.has_hit("worker.after_claim"), 60)
    stack.worker.kill()  # nobody frees what it claimed
    stack.worker.start()
    assert house.waiting(queue_id) == 100

    stack.dispatcher.start()

    house.wait_until_delivered(queue_id)
