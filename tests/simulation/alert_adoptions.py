"""Tokens of other programs, which somebody sends to connections of the outbox's simulation."""

from datetime import timedelta

from functions.http.problems import ProblemError
from functions.login.adopted_body import AdoptedBody
from functions.login.adoptions import Adoptions
from ports.store import StoreUnavailableError
from tests.simulation.alert_world import ACCOUNTS, AlertWorld, SimulatedClock, Subject
from tests.simulation.instance import Instance

# Another program has used its login for so long, at most.
OLDEST = timedelta(days=10)


async def adopt(world: AlertWorld, instance: Instance, subject: Subject) -> None:
    """Send the refresh token of another login; the provider may have ended it."""
    random, account = world.random, world.random.choice(ACCOUNTS)
    login = world.add_login(subject, account)
    token = str(login.log_in(world.now() - random.random() * OLDEST).refresh_token)
    if random.random() < 1 / 4:
        login.issued.clear()
    replaces, id_token = random.random() < 1 / 2, account if random.random() < 1 / 2 else None
    world.note(instance.name, f"{subject.name}: adopts {token} of {account}, replaces: {replaces}")
    adoptions = Adoptions(
        keeper=instance.keeper,
        recorder=instance.recorder,
        clock=SimulatedClock(world, instance),
        policy=world.policy,
        subject_of=lambda subject: subject,
    )
    body = AdoptedBody(refresh_token=token, id_token=id_token)
    try:
        result = await adoptions.adopt(subject.name, body, replaces=replaces)
    except (ProblemError, StoreUnavailableError) as error:
        world.answers[type(error).__name__] += 1
        return
    world.answers[f"adopted: {type(result.answer).__name__}"] += 1
