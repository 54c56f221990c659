"""Forward transfer: steps to learn a task from nothing, and from the skill of a policy that knows all the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from polytask_trainer.config import learn_config, read_settings
from polytask_trainer.distill_config import DistillConfig
from polytask_trainer.experiments import polytask
from polytask_trainer.experiments.plan import read_budget
from polytask_trainer.experiments.report import Document, Figure, Report, select, table
from polytask_trainer.experiments.run import Context, Run, Stopped
from polytask_trainer.experiments.scores import Scores, estimate

WORK = "polytask_trainer.experiments.transfer:learned"
WANTED = 0.8
COLD, WARM = "nothing", "the others' policy"


@dataclass(frozen=True)
class Settings:
    """Size of the experiment."""

    experts: str
    """Budget of the experts that the policies are distilled from."""
    suite: str
    tasks: Sequence[str]
    """All that there are; a policy knows all but one."""
    learned: Sequence[str]
    """Which of them are learned, each in turn."""
    steps: int
    """Agent steps of learning."""
    every: int
    """Steps between evaluations."""
    episodes: int
    """Of an evaluation."""
    distill: Mapping[str, Any] = field(default_factory=dict)
    """What differs from DistillConfig."""
    seeds: int = 3

    def __post_init__(self) -> None:
        """Check what depends on each other."""
        if unknown := set(self.learned) - set(self.tasks):
            raise ValueError(f"learned: {', '.join(sorted(unknown))} must be among the tasks")
        if self.every < 1 or self.steps % self.every:
            raise ValueError(f"steps ({self.steps}) must be a multiple of every ({self.every})")


def runs(settings: Settings, seed: int) -> list[Run]:
    """Each task from nothing, then from the policy of the others."""
    found = []
    budget: polytask.Experts = read_budget("experts", settings.experts, polytask.Experts)
    # The policy's layers, so that both beginnings have the same size; pictures of results are not needed.
    hidden = read_settings(DistillConfig, settings.distill, "distill").hidden
    changes = {"steps": settings.steps, "goal_pictures": 1, "goal_rollouts": 1, "agent": {"hidden": hidden}}
    for task in settings.learned:
        learn = polytask.learn_settings(budget, settings.suite, task, changes)
        others = [polytask.expert(settings.experts, settings.suite, o, seed) for o in settings.tasks if o != task]
        policy = polytask.distilled(others, settings.suite, seed, settings.distill)
        policy = dataclasses.replace(policy, title=f"{policy.title} without {task}")
        for begins, needs in ((COLD, ()), (WARM, (policy,))):
            config = {
                "suite": settings.suite,
                "task": task,
                "begins": begins,
                "demonstrations": budget.demonstrations,
                "learn": learn,
                "every": settings.every,
                "episodes": settings.episodes,
            }
            title = f"transfer {settings.suite} {task} from {begins}"
            found.append(Run(title, WORK, config, seed, needs, polytask.learn_defaults(learn)))
    return found


def learned(context: Context) -> dict[str, Any]:
    """Learn an expert, from the needed policy's skill or from nothing; success on fresh starts now and then."""
    from polytask_policy.checkpoint import load_checkpoint
    from polytask_sim_bridge.suites import make_env
    from polytask_trainer.experiments.demonstrations import demonstrations
    from polytask_trainer.inputs import describe
    from polytask_trainer.learn import learn_expert
    from polytask_trainer.warm_start import START, learn_from

    config = context.config
    suite, task = config["suite"], config["task"]
    shown = demonstrations(suite, task, config["demonstrations"], context.seed)
    description = describe(suite, task, shown[0].embodiment)
    learn = learn_config({**config["learn"], "seed": context.seed})
    method = partial(learn_from, context.needs[0]) if context.needs else learn_expert
    begin = partial(method, learn, partial(make_env, suite, task), shown, description, context.folder)
    curve = []
    for mark in range(0, learn.steps + 1, config["every"]):

        def measure(mark: int = mark) -> dict[str, float]:
            step = carry_on(context, begin, mark)
            return {"step": step, "success": judge(context, description)}

        curve.append(context.piece(f"after {mark}", measure))
    chosen = load_checkpoint(context.folder / START, START)[1] if context.needs else {}
    return {"curve": curve, **{name: chosen[name] for name in ("goal", "matched") if name in chosen}}


def carry_on(context: Context, begin: Callable[..., Any], mark: int) -> int:
    """Learn on until ``mark`` steps, with the state of it in the run's folder; gives the steps done. Raises Stopped."""
    from polytask_policy.checkpoint import has_checkpoint, load_checkpoint

    state = context.folder / "training"
    done = int(load_checkpoint(state)[1]["step"]) if has_checkpoint(state) else 0

    def progress(report: Mapping[str, Any]) -> None:
        nonlocal done
        done = max(done, int(report["step"]))
        context.on_progress(dict(report))

    if done < mark or not has_checkpoint(state):
        begin(on_progress=progress, should_stop=lambda: done >= mark or context.should_stop())
    done = int(load_checkpoint(state)[1]["step"])
    if done < mark:
        raise Stopped
    return done


def judge(context: Context, description: Any) -> float:
    """Success, on fresh starts, of the averaged actor of the training that lies in the run's folder."""
    from polytask_policy.checkpoint import load_checkpoint
    from polytask_policy.expert import ExpertPolicy
    from polytask_policy.networks import Actor
    from polytask_sim_bridge.suites import make_env
    from polytask_trainer.experiments import works
    from polytask_trainer.training_state import under

    config = context.config
    actor = Actor(
        len(description.state_names), len(description.action_names), tuple(config["learn"]["agent"]["hidden"])
    )
    actor.load_state_dict(under(load_checkpoint(context.folder / "training")[0], "average"))
    env = make_env(config["suite"], config["task"])
    try:
        seeds = works.starts(context.seed, config["episodes"])
        return works.judge(ExpertPolicy(actor, description), env, seeds).rate
    finally:
        env.close()


def report(documents: Sequence[Document]) -> Report:
    """A row for each task and beginning, what was saved, and curves."""
    found = select(documents, "learned")
    scores, rows, lines = Scores(), [], []
    for task in dict.fromkeys(document["config"]["task"] for document in found):
        for begins in (COLD, WARM):
            own = select(found, "learned", task=task, begins=begins)
            if not own:
                continue
            for document in own:
                scores.add(begins, task, document["seed"], mean_success(document))
                lines += [
                    {"task": task, "begins": begins, "seed": document["seed"], **point}
                    for point in document["result"]["curve"]
                ]
            rows.append(
                [
                    task,
                    begins,
                    " · ".join(reached(document) for document in own),
                    " · ".join(f"{document['result']['curve'][0]['success']:.2f}" for document in own),
                    " · ".join(f"{document['result']['curve'][-1]['success']:.2f}" for document in own),
                    ", ".join(document["result"].get("goal", "–") for document in own),
                ]
            )
    head = ["task", "begins with", f"steps to {WANTED:.0%}, seed by seed", "success at the start", "at the end", "took"]
    config = found[0]["config"]
    layers = " and ".join(map(str, config["learn"]["agent"]["hidden"]))
    sections = [
        f"Success of the averaged actor on {config['episodes']} fresh starts every {config['every']} agent steps, "
        f"up to {config['learn']['steps']}. Both beginnings have layers of {layers} units and the "
        "same demonstration. A warm start takes the taught task whose skill, cloned from the demonstration, "
        "matches it best, or none (“nothing”).",
        table(head, rows),
        "\n".join([*saved(found), gain(scores)]),
    ]
    figure = Figure(partial(draw, documents=found), "success over agent steps, mean of tasks and seeds")
    return Report(sections, lines, {"curves.png": figure})


def steps_to(document: Document) -> int | None:
    """Steps at the first evaluation with the wanted success."""
    return next((point["step"] for point in document["result"]["curve"] if point["success"] >= WANTED), None)


def reached(document: Document) -> str:
    """These steps for a table."""
    steps = steps_to(document)
    return f"> {document['config']['learn']['steps']}" if steps is None else str(steps)


def mean_success(document: Document) -> float:
    """Over all evaluations: the area under the curve."""
    return float(np.mean([point["success"] for point in document["result"]["curve"]]))


def saved(documents: Sequence[Document]) -> list[str]:
    """Steps that the warm start saved, task by task, in the seeds where both came to the wanted success."""
    lines = []
    for task in dict.fromkeys(document["config"]["task"] for document in documents):
        cold, warm = (
            {
                document["seed"]: steps_to(document)
                for document in select(documents, "learned", task=task, begins=begins)
            }
            for begins in (COLD, WARM)
        )
        both = [seed for seed in cold if seed in warm]
        found = [c - w for c, w in ((cold[seed], warm[seed]) for seed in both) if c is not None and w is not None]
        many = f"{len(found)} of {len(both)} seeds reached {WANTED:.0%} both ways"
        lines.append(f"- {task}: {many}" + (f"; steps saved there: {', '.join(map(str, found))}" if found else ""))
    return lines


def gain(scores: Scores) -> str:
    """By how much the mean success over all evaluations is higher from the policy than from nothing."""
    found = estimate(scores.matrix([WARM, COLD]), lambda drawn: float((drawn[..., 0] - drawn[..., 1]).mean()))
    return f"- mean success over all evaluations, warm less cold: {'not measured yet' if found is None else found}"


def draw(axes: Any, documents: Sequence[Document]) -> None:
    """Mean success over the marks at which it was judged."""
    for begins in (COLD, WARM):
        own = select(documents, "learned", begins=begins)
        if not own:
            continue
        curves = [[point["success"] for point in document["result"]["curve"]] for document in own]
        marks = np.arange(len(curves[0])) * own[0]["config"]["every"]
        axes.plot(marks, np.mean(curves, axis=0), "o-", label=f"from {begins}")
    axes.set_xlabel("agent steps")
    axes.set_ylabel("success")
    axes.set_ylim(0, 1.05)
    axes.legend(fontsize=8)
