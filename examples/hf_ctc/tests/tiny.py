"""Tiny checkpoints with random weights, written as `save_pretrained` writes real ones."""

import json

import torch

ENGLISH = "ETAONIHSRDLUMWCFGYPBVK'XJQZ"
RUSSIAN = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя"
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "|")


def write(folder, *, kind="wav2vec2", norm="layer", letters=ENGLISH, dim=16, blank_last=False):
    """A checkpoint of the kind in `folder`, with 2 layers of 16 units."""
    import transformers

    names = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert", "wavlm": "WavLM"}
    tokens = [*SPECIAL, *letters]
    if blank_last:  # and under a name that config.json alone tells
        tokens = [*tokens[1:], "[PAD]"]
    blank = len(tokens) - 1 if blank_last else 0
    config = getattr(transformers, f"{names[kind]}Config")(
        vocab_size=len(tokens),
        pad_token_id=blank,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(8, dim),
        conv_kernel=(10, 4),
        conv_stride=(8, 4),
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
        feat_extract_norm=norm,
        do_stable_layer_norm=norm == "layer",
        hidden_dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        feat_proj_dropout=0.0,
        final_dropout=0.0,
    )
    torch.manual_seed(3)
    model = getattr(transformers, f"{names[kind]}ForCTC")(config)
    model.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({each: n for n, each in enumerate(tokens)}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"unk_token": {"content": "<unk>"}}))
    preprocessor = {"sampling_rate": 16_000, "do_normalize": True}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder
