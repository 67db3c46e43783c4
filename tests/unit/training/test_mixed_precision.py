"""bfloat16: gradients of depthwise convolutions equal float32's, everything else is left alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from helpers.training.mixed_precision import _Depthwise, autocast

CPU = torch.device("cpu")


def gradients(x, weight, bias, stride, padding, amp):
    """The output and the gradients of all three, for the same gradient of the output."""
    given = [tensor.clone().requires_grad_() for tensor in (x, weight, bias)]
    with autocast(CPU, amp):
        made = F.conv2d(given[0], *given[1:], stride, padding, 1, x.shape[1])
    pull = torch.randn(made.shape, generator=torch.Generator().manual_seed(1)).bfloat16()
    made.backward(pull.to(made.dtype))
    return [made.detach(), *(tensor.grad for tensor in given)]


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("size", [(12, 9), (11, 12)])
def test_depthwise_gradients_equal_those_of_float32(kernel, stride, padding, size):
    torch.manual_seed(0)
    x = torch.randn(3, 8, *size).bfloat16().float()
    weight, bias = torch.randn(8, 1, kernel, kernel).bfloat16().float(), torch.randn(8)
    exact = gradients(x, weight, bias, stride, padding, amp=None)
    close = gradients(x, weight, bias, stride, padding, amp=True)
    assert close[0].dtype == torch.bfloat16
    for wanted, found in zip(exact, close, strict=True):
        assert found.shape == wanted.shape
        assert float((found.float() - wanted).abs().max() / wanted.abs().max()) < 0.01


def sent(monkeypatch, amp, **changes):
    """Whether a convolution goes through our own gradients."""
    calls = []
    apply = _Depthwise.apply
    with monkeypatch.context() as patch:
        patch.setattr(_Depthwise, "apply", lambda *args: calls.append(1) or apply(*args))
        _convolve(amp, **changes)
    return bool(calls)


def _convolve(amp, **changes):
    how = {"channels": 8, "groups": 8, "kernel": 3, "dilation": 1, "padding": 1} | changes
    shape = (8, how["channels"] // how["groups"], how["kernel"], how["kernel"])
    layer = torch.nn.Conv2d(
        how["channels"], 8, how["kernel"], 1, how["padding"], how["dilation"], how["groups"]
    )
    assert layer.weight.shape == shape
    with autocast(CPU, amp):
        layer(torch.randn(2, how["channels"], 12, 12)).float().sum().backward()
    assert layer.weight.grad.shape == shape


def test_depthwise_convolutions_alone_are_sent_there(monkeypatch):
    assert sent(monkeypatch, True)
    assert not sent(monkeypatch, None), "float32 is left alone"
    assert not sent(monkeypatch, True, groups=1)
    assert not sent(monkeypatch, True, groups=4)
    assert not sent(monkeypatch, True, kernel=7)
    assert not sent(monkeypatch, True, dilation=2)
    assert not sent(monkeypatch, True, padding="same")
    with torch.no_grad():
        assert not sent_without_gradients(monkeypatch)


def sent_without_gradients(monkeypatch):
    calls = []
    monkeypatch.setattr(_Depthwise, "apply", lambda *args: calls.append(1))
    with autocast(CPU, True):
        F.conv2d(torch.randn(1, 4, 8, 8), torch.randn(4, 1, 3, 3), None, 1, 1, 1, 4)
    return bool(calls)
