"""The ids that transformers gives with pictoclip's tokenizer for the strings of golden-public.json.

`python pictoclip.py > golden-pictoclip.json` (transformers 5.23).
"""
import json
from pathlib import Path

import transformers

HERE = Path(__file__).parent
CONTEXT = 32
tokenizer = transformers.AutoTokenizer.from_pretrained(HERE / "../../../crates/clipgauge-pictoclip/model")
rows = []
for row in json.loads((HERE / "golden-public.json").read_text())["rows"]:
    text = row["text"]
    rows.append(dict(text=text, ids=tokenizer(text, truncation=True, max_length=CONTEXT)["input_ids"],
                     untruncated=len(tokenizer(text, truncation=False)["input_ids"])))
print(json.dumps(dict(transformers=transformers.__version__, context=CONTEXT, rows=rows), ensure_ascii=False, indent=0))
