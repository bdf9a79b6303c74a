"""A trainer of one's own: python own_trainer.py TASK MODEL_FOLDER ROWS.jsonl KEY_FILE NODE..."""

import sys
from pathlib import Path

from flockchain.client import Account, Client
from flockchain_ml.data import read_rows
from flockchain_ml.models import load_model
from flockchain_ml.trainer import TrainOrder, train_update

task, folder, rows_file, key_file, *nodes = sys.argv[1:]
account = Account.from_file(key_file)  # it pays a bond for each update, and gets it back
rows = read_rows(Path(rows_file))  # JSON lines: {"prompt": "2 + 2 =", "answer": "4"}

with Client(*nodes) as client:
    spec = client.tasks.get(int(task)).spec
    base = load_model(Path(folder), expected=spec.base_model)
    for opened in client.rounds.follow(int(task)):  # each round once, as it opens; ends with the task
        model = client.models.fetch(int(task))  # what the committee certified so far, checked by its roots
        order = TrainOrder(spec.adapter, model.aggregates, rows, opened.round, seed=opened.round)
        update = train_update(base, order).update  # canonical bytes: equal tensors are equal files
        state = client.updates.submit(int(task), update, account=account).wait("judged")
        print(opened.round, state.verdict.reason.name if state.verdict else "the round is void", flush=True)
