"""Train the local engine's model and write it to ``model.gguf``.

``python train.py [--steps 1300] [--out model.gguf]`` needs ``torch``, ``numpy``, ``gguf`` and ``jinja2``. It
downloads nothing: tokenizer and weights are made from ``corpus.py``, ``conversations.py`` and ``examples/data``.

The tokenizer is a byte-fallback BPE of llama.cpp's "SPM" kind. Printable ASCII has merges; every
other character (line breaks, Chinese, emoji) is spelled in bytes, so that a visible character spans
several tokens and a stream is cut inside it: what an adapter has to survive. Digits are not merged
with each other, so that the model can count.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import gguf
import jinja2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from local_engine.conversations import Conversation, conversations
from local_engine.corpus import Example, document_examples, documents, short_examples

CONTEXT, DIM, LAYERS, HEADS, FFN = 4096, 128, 4, 4, 256
HEAD_DIM = DIM // HEADS
MERGES = 600
UNKNOWN, BOS, EOS = 0, 1, 2
TURN, END = "<|im_start|>", "<|im_end|>"  # of a message; their tokens are the last two
TEMPLATE = Path(__file__).with_name("chat_template.jinja").read_text("utf-8")
EPSILON, ROPE_BASE = 1e-5, 10000.0
PROMPT_WEIGHT = 0.1  # the prompt's own tokens teach a little, the answer's teach most
BATCH_TOKENS = 2600
SMOOTHING = 1e-3  # leaves other tokens a chance, which a high temperature brings out

# No token spans the start of a word, or a character without merges: words can be encoded alone.
WORDS = re.compile(r"▁[!-~]*|[!-~]+|[^!-~▁]+")


@dataclass
class Tokenizer:
    """Byte-fallback BPE whose merges go by rank alone, as in llama.cpp's SPM tokenizer."""

    tokens: list[str]
    ranks: dict[str, int]
    ids: dict[str, int] = field(init=False)
    known: dict[str, list[int]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Index the tokens."""
        self.ids = {token: number for number, token in enumerate(self.tokens)}

    def encode(self, text: str) -> list[int]:
        """Return the tokens of ``text``, without the one that begins a sequence."""
        found: list[int] = []
        for part in re.split(f"({re.escape(TURN)}|{re.escape(END)})", text.replace(" ", "▁")):
            if part in (TURN, END):
                found.append(self.ids[part])
                continue
            for word in WORDS.findall(part):
                if word not in self.known:
                    self.known[word] = self._word(word)
                found += self.known[word]
        return found

    def _word(self, word: str) -> list[int]:
        pieces = list(word)
        never = len(self.ranks)
        while len(pieces) > 1:
            rank, place = min(
                (self.ranks.get(left + right, never), place) for place, (left, right) in enumerate(pairwise(pieces))
            )
            if rank == never:
                break
            pieces[place : place + 2] = [pieces[place] + pieces[place + 1]]
        found: list[int] = []
        for piece in pieces:
            if piece in self.ids:
                found.append(self.ids[piece])
            else:
                found += [self.ids[f"<0x{byte:02X}>"] for byte in piece.encode()]
        return found


def mergeable(token: str) -> bool:
    """Tell whether ``token`` may be learnt: no line break, a digit only after a space."""
    return token.isprintable() and not re.search(r"\d.|[^▁]\d", token)


def merge(word: tuple[str, ...], merged: str) -> tuple[str, ...]:
    """Return ``word`` with every two neighbours that spell ``merged`` joined."""
    pieces = list(word)
    place = 0
    while place + 1 < len(pieces):
        if pieces[place] + pieces[place + 1] == merged:
            pieces[place : place + 2] = [merged]
        place += 1
    return tuple(pieces)


def learn_tokenizer(texts: list[str]) -> Tokenizer:
    """Learn up to ``MERGES`` merges from ``texts``."""
    counts: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        words = WORDS.findall(text.replace(" ", "▁"))
        counts.update(tuple(word) for word in words if word[0] == "▁" or word.isascii())
    ranks: dict[str, int] = {}
    while len(ranks) < MERGES:
        pairs: Counter[str] = Counter()
        for word, count in counts.items():
            for left, right in pairwise(word):
                if left + right not in ranks and mergeable(left + right):
                    pairs[left + right] += count
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        ranks[best] = len(ranks)
        joined: Counter[tuple[str, ...]] = Counter()
        for word, count in counts.items():
            joined[merge(word, best)] += count
        counts = joined
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokens += ["▁", *(chr(code) for code in range(0x21, 0x7F)), *ranks, TURN, END]
    return Tokenizer(tokens, ranks)


def initial_weights(vocabulary: int) -> dict[str, Tensor]:
    """Return fresh weights under the names that GGUF gives them."""

    def matrix(rows: int, columns: int, scale: float = 1.0) -> Tensor:
        return (torch.randn(rows, columns) * scale / math.sqrt(columns)).requires_grad_()

    weights = {"token_embd": (torch.randn(vocabulary, DIM) * 0.05).requires_grad_()}
    weights["output_norm"] = torch.ones(DIM, requires_grad=True)
    deep = 1 / math.sqrt(2 * LAYERS)
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        weights[block + "attn_norm"] = torch.ones(DIM, requires_grad=True)
        weights[block + "ffn_norm"] = torch.ones(DIM, requires_grad=True)
        for name in ("attn_q", "attn_k", "attn_v"):
            weights[block + name] = matrix(DIM, DIM)
        weights[block + "attn_output"] = matrix(DIM, DIM, deep)
        weights[block + "ffn_gate"] = matrix(FFN, DIM)
        weights[block + "ffn_up"] = matrix(FFN, DIM)
        weights[block + "ffn_down"] = matrix(DIM, FFN, deep)
    return weights


def norm(values: Tensor, weight: Tensor) -> Tensor:
    """Return the root-mean-square norm of ``values``."""
    return functional.rms_norm(values, (DIM,), weight, EPSILON)


def rotate(values: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn neighbouring pairs by their position, the pairing that llama.cpp has for "llama"."""
    even, odd = values[..., 0::2], values[..., 1::2]
    return torch.stack((even * cosine - odd * sine, even * sine + odd * cosine), -1).flatten(-2)


def forward(weights: dict[str, Tensor], tokens: Tensor) -> Tensor:
    """Run the llama architecture over a batch of tokens and return the logits."""
    rows, length = tokens.shape
    rates = ROPE_BASE ** (-torch.arange(0, HEAD_DIM, 2) / HEAD_DIM)
    angles = torch.arange(length)[:, None] * rates
    cosine, sine = angles.cos(), angles.sin()
    hidden = weights["token_embd"][tokens]
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        state = norm(hidden, weights[block + "attn_norm"])
        query, key, value = (
            (state @ weights[block + name].T).view(rows, length, HEADS, HEAD_DIM).transpose(1, 2)
            for name in ("attn_q", "attn_k", "attn_v")
        )
        mixed = functional.scaled_dot_product_attention(
            rotate(query, cosine, sine), rotate(key, cosine, sine), value, is_causal=True
        )
        mixed = mixed.transpose(1, 2).reshape(rows, length, DIM)
        hidden = hidden + mixed @ weights[block + "attn_output"].T
        state = norm(hidden, weights[block + "ffn_norm"])
        gate = functional.silu(state @ weights[block + "ffn_gate"].T)
        hidden = hidden + (gate * (state @ weights[block + "ffn_up"].T)) @ weights[block + "ffn_down"].T
    return norm(hidden, weights["output_norm"]) @ weights["token_embd"].T


@dataclass(frozen=True)
class Sequence:
    """An example in tokens: where its answer begins and how often it is drawn."""

    tokens: list[int]
    answer_at: int
    weight: float


def encode(tokenizer: Tokenizer, example: Example) -> Sequence:
    """Return ``example`` in tokens. Prompt and answer are encoded apart, as a server sees them."""
    prompt = [BOS, *tokenizer.encode(example.prompt)]
    return Sequence([*prompt, *tokenizer.encode(example.answer), EOS], len(prompt), example.weight)


def encode_conversation(tokenizer: Tokenizer, template: jinja2.Template, made: Conversation) -> Sequence:
    """Return ``made`` in tokens, written as the server writes it: the template is the only place that knows how."""
    tools = list(made.tools)
    prompt = template.render(messages=made.messages, tools=tools, add_generation_prompt=True)
    complete = template.render(messages=[*made.messages, made.answer], tools=tools)
    answer = complete.removeprefix(prompt).removesuffix("\n")
    tokens = [BOS, *tokenizer.encode(prompt)]
    return Sequence([*tokens, *tokenizer.encode(answer)], len(tokens), made.weight)


def batch(sequences: list[Sequence]) -> tuple[Tensor, Tensor]:
    """Return padded tokens, and how much each of them counts as a target."""
    length = max(len(sequence.tokens) for sequence in sequences)
    tokens = torch.full((len(sequences), length), EOS)
    counts = torch.zeros(len(sequences), length)
    for row, sequence in enumerate(sequences):
        size, start = len(sequence.tokens), sequence.answer_at
        tokens[row, :size] = torch.tensor(sequence.tokens)
        counts[row, :start] = PROMPT_WEIGHT * (size - start) / start
        counts[row, start:size] = 1.0
    return tokens, counts


def train(weights: dict[str, Tensor], sequences: list[Sequence], steps: int, peak: float) -> None:
    """Train ``weights`` in place."""
    sequences = sorted(sequences, key=lambda sequence: len(sequence.tokens))
    # A batch is a run of neighbours in length, so that little of it is padding.
    chances = torch.tensor([sequence.weight * len(sequence.tokens) ** 0.5 for sequence in sequences])
    optimizer = torch.optim.AdamW(weights.values(), peak, (0.9, 0.95), weight_decay=0.0)
    started = time.monotonic()
    for step in range(steps):
        rate = peak * min(1.0, (step + 1) / 40)
        rate *= 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps))
        for group in optimizer.param_groups:
            group["lr"] = rate
        middle = int(torch.multinomial(chances, 1))
        room = max(4, min(64, BATCH_TOKENS // len(sequences[middle].tokens)))
        low, high = max(0, middle - 2 * room), min(len(sequences), middle + 2 * room)
        rows = (torch.multinomial(chances[low:high], min(room, high - low)) + low).tolist()
        tokens, counts = batch([sequences[row] for row in rows])
        logits = forward(weights, tokens[:, :-1])
        losses = functional.cross_entropy(
            logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none", label_smoothing=SMOOTHING
        )
        loss = (losses * counts[:, 1:].flatten()).sum() / counts[:, 1:].sum()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
        optimizer.step()
        if step % 50 == 0:
            elapsed = time.monotonic() - started
            sys.stdout.write(f"step {step} loss {loss.item():.4f} {elapsed:.0f}s\n")
            sys.stdout.flush()


def read_gguf(path: Path, fresh: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights that ``write_gguf`` wrote, to train them further; tokens that are new have ``fresh`` ones."""
    weights = {
        tensor.name.removesuffix(".weight"): torch.tensor(tensor.data.astype(np.float32))
        for tensor in gguf.GGUFReader(path).tensors
    }
    known = weights["token_embd"]
    weights["token_embd"] = torch.cat((known, fresh["token_embd"][len(known) :].detach()))
    return {name: tensor.requires_grad_() for name, tensor in weights.items()}


def write_gguf(path: Path, weights: dict[str, Tensor], tokenizer: Tokenizer) -> None:
    """Write the model in F16 (norms in F32) for llama.cpp."""
    kinds = gguf.TokenType
    types = [kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL, *[kinds.BYTE] * 256]
    types += [kinds.NORMAL] * (len(tokenizer.tokens) - len(types) - 2)
    types += [kinds.CONTROL, kinds.CONTROL]
    scores = [-float(tokenizer.ranks.get(token, 0)) for token in tokenizer.tokens]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("xdm-local")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(DIM)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(HEAD_DIM)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_layer_norm_rms_eps(EPSILON)
    writer.add_vocab_size(len(tokenizer.tokens))
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([token.encode() for token in tokenizer.tokens])
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_unk_token_id(UNKNOWN)
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(EOS)
    writer.add_eot_token_id(tokenizer.ids[END])
    writer.add_chat_template(TEMPLATE)
    writer.add_add_bos_token(value=True)
    writer.add_add_eos_token(value=False)
    writer.add_add_space_prefix(value=False)
    for name, tensor in weights.items():
        kind = np.float32 if tensor.ndim == 1 else np.float16
        writer.add_tensor(f"{name}.weight", tensor.detach().numpy().astype(kind))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    """Train the model and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=1300, help="how long to train")
    parser.add_argument("--peak", type=float, default=4e-3, help="the highest learning rate")
    parser.add_argument("--start", type=Path, help="a model to train further, of the same corpus")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("model.gguf"))
    arguments = parser.parse_args()
    torch.manual_seed(7)
    short, long = short_examples(), document_examples()
    tokenizer = learn_tokenizer(
        [*documents().values(), *(text for made in short for text in (made.prompt, made.answer))]
        + [text for made in long for text in (made.prompt.splitlines()[0], made.answer)]
    )
    sequences = [encode(tokenizer, made) for made in (*short, *long)]
    template = jinja2.Environment(autoescape=False).from_string(TEMPLATE)  # noqa: S701 - no HTML is made
    sequences += [encode_conversation(tokenizer, template, made) for made in conversations()]
    start: Path | None = arguments.start
    weights = initial_weights(len(tokenizer.tokens))
    weights = read_gguf(start, weights) if start else weights
    size = sum(tensor.numel() for tensor in weights.values())
    longest = max(len(sequence.tokens) for sequence in sequences)
    sys.stdout.write(
        f"{len(tokenizer.tokens)} tokens, {size} weights, {len(sequences)} sequences of up to {longest} tokens\n"
    )
    train(weights, sequences, arguments.steps, arguments.peak)
    write_gguf(arguments.out, weights, tokenizer)
    sys.stdout.write(f"{arguments.out}: {arguments.out.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
