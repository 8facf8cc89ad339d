/**
 * What is computed on a GPU, in Python: real operations with fixed inputs, each with what torch needs to be asked for it.
 *
 * An operation gets `x`, which gives random tensors of the wanted type on the wanted device and the same numbers for each
 * device, and returns the tensors to compare. Names are those of torch.
 */
export const operationsProgram = String.raw`
EXACT, FLOATS = ("int",), ("fp32", "fp16", "bf16")


def operations(torch):
    """(name, types, needs, function), in the order in which they run."""
    F = torch.nn.functional

    def conv(dimensions, **options):
        function = getattr(F, "conv%dd" % dimensions)
        size = {1: 200, 2: 28, 3: 10}[dimensions]
        groups = options.get("groups", 1)
        return lambda x: function(
            x(2, 16, *[size] * dimensions), x(32, 16 // groups, *[3] * dimensions, scale=0.1), x(32), **options
        )

    def attention(x):
        return F.scaled_dot_product_attention(x(2, 4, 128, 64), x(2, 4, 128, 64), x(2, 4, 128, 64))

    def masked(x):
        mask = x(128, 128) > 0
        mask[:, 0] = True
        return F.scaled_dot_product_attention(x(2, 4, 128, 64), x(2, 4, 128, 64), x(2, 4, 128, 64), attn_mask=mask)

    def backward_attention(x):
        inputs = [x(2, 4, 64, 64).requires_grad_() for _ in range(3)]
        F.scaled_dot_product_attention(*inputs).sum().backward()
        return [each.grad for each in inputs]

    def batch_norm(x):
        mean, variance = x(16), x(16).abs() + 0.5
        result = F.batch_norm(x(8, 16, 20, 20), mean, variance, x(16), x(16), training=True)
        return result, mean, variance

    def norms(x):
        return (
            F.batch_norm(x(8, 16, 20, 20), x(16), x(16).abs() + 0.5, x(16), x(16)),
            F.layer_norm(x(8, 200), (200,), x(200), x(200)),
            F.group_norm(x(4, 16, 12, 12), 4, x(16), x(16)),
        )

    def pooling(x):
        image = x(4, 8, 33, 33)
        return F.max_pool2d(image, 3, 2, 1), F.avg_pool2d(image, 2), F.adaptive_avg_pool2d(image, (7, 7))

    def interpolation(x):
        image = x(2, 3, 24, 24)
        modes = ("nearest", "bilinear", "bicubic", "area")
        return [F.interpolate(image, size=(41, 37), mode=mode) for mode in modes]

    def activations(x):
        value = x(64, 300)
        return [each(value) for each in (F.relu, F.gelu, F.silu, torch.sigmoid, torch.tanh, F.softplus, F.leaky_relu)]

    def arithmetic(x):
        a, b = x(64, 300), x(64, 300).abs() + 0.5
        return a + b, a * b, a / b, torch.where(a > 0, a, b), b.sqrt(), b.log(), a.exp(), a.clamp(-1, 1), a.sin()

    def reductions(x):
        value = x(40, 50, 60)
        softmax = F.softmax(value, -1), F.log_softmax(value, 1), value.logsumexp(0)
        return (value.mean(), value.sum(1), value.std(2), value.norm(dim=0), value.amax(1), value.cumsum(2)) + softmax

    def losses(x):
        scores, classes = x(64, 20), x.whole(20, 64)
        return F.cross_entropy(scores, classes), F.mse_loss(scores, x(64, 20)), F.smooth_l1_loss(scores, x(64, 20))

    def ordering(x):
        value = x.distinct(64, 500)
        best = value.topk(20)
        return value.sort(1)[0], value.sort(1, descending=True)[1], value.argmax(1), best[0], best[1], value.median(1)[0]

    def long_sort(x):
        return x.distinct(1, 100000).sort(1)[1]

    def indexing(x):
        value, rows = x.whole(1000, 200, 30), x.whole(200, 90)
        gathered = value.gather(0, rows[:, None].expand(90, 30))
        added = torch.zeros_like(value).scatter_add(0, rows[:, None].expand(90, 30), gathered)
        return value[rows], value.index_select(0, rows), gathered, added, value.flip(0), value.roll(3, 1), value.t().contiguous()

    def unique(x):
        value = x.whole(50, 4000)
        return value.unique(return_counts=True) + (value.bincount(), (value > 25).nonzero(), value[value > 40])

    def embedding(x):
        table, rows = x(500, 64).requires_grad_(), x.whole(500, 32, 20)
        result = F.embedding(rows, table)
        result.pow(2).sum().backward()
        return result, table.grad, F.embedding_bag(rows, table)

    def training(x):
        kernel, weight, bias = x(8, 3, 3, 3, scale=0.3), x(10, 8 * 16, scale=0.1), x(10)
        leaves = [each.requires_grad_() for each in (kernel, weight, bias)]
        hidden = F.batch_norm(F.conv2d(x(16, 3, 16, 16), kernel, padding=1), None, None, training=True)
        hidden = F.adaptive_avg_pool2d(F.relu(hidden), 4).flatten(1)
        loss = F.cross_entropy(F.linear(hidden, weight, bias), x.whole(10, 16))
        loss.backward()
        return [loss] + [each.grad for each in leaves]

    def optimizing(x):
        weight = x(50, 50).requires_grad_()
        optimizer = torch.optim.AdamW([weight], lr=0.01)
        for _ in range(3):
            optimizer.zero_grad()
            (weight @ x(50, 20)).pow(2).mean().backward()
            optimizer.step()
        return weight

    def recurrent(x):
        torch.manual_seed(7)
        layer = x.module(torch.nn.LSTM(24, 32, 2, batch_first=True))
        result, (hidden, cell) = layer(x(4, 15, 24))
        return result, hidden, cell

    def boxes(x):
        corner = x.distinct(1, 300)[0][:, None].repeat(1, 2) % 97
        return torch.cat([corner, corner + 9 + x.whole(20, 300, 2).to(corner.dtype)], 1), x.distinct(1, 300)[0]

    def nms(x):
        import torchvision

        return torchvision.ops.nms(*boxes(x), iou_threshold=0.4137)

    def roi_align(x):
        import torchvision

        places = torch.cat([torch.zeros(300, 1, dtype=x.dtype, device=x.device), boxes(x)[0] / 4], 1)[:50]
        return torchvision.ops.roi_align(x(1, 8, 40, 40), places, (7, 7), 1.0, 2)

    def deformable(x):
        import torchvision

        return torchvision.ops.deform_conv2d(x(1, 4, 12, 12), x(1, 18, 10, 10), x(6, 4, 3, 3, scale=0.1))

    def fft(x):
        value = x(16, 128)
        return torch.view_as_real(torch.fft.fft(value)), torch.fft.irfft(torch.fft.rfft(value)), torch.view_as_real(torch.fft.rfft2(value))

    def linalg(x):
        value = x(12, 12) + 12 * torch.eye(12, dtype=x.dtype, device=x.device)
        return torch.linalg.inv(value), torch.linalg.solve(value, x(12, 3)), torch.linalg.det(value), torch.linalg.cholesky(value @ value.t())

    def sparse(x):
        value = x(40, 60)
        value = torch.where(value > 1, value, torch.zeros_like(value))
        return torch.sparse.mm(value.to_sparse(), x(60, 20)), value.to_sparse_csr() @ x(60, 20)

    return [
        ("conv2d", FLOATS, None, conv(2, padding=1)),
        ("conv2d, strided", FLOATS, None, conv(2, stride=2, padding=1)),
        ("conv2d, dilated", FLOATS, None, conv(2, dilation=2)),
        ("conv2d, depthwise", FLOATS, None, conv(2, groups=16, padding=1)),
        ("conv1d", FLOATS, None, conv(1)),
        ("conv3d", FLOATS, None, conv(3)),
        ("conv_transpose2d", FLOATS, None, lambda x: F.conv_transpose2d(x(2, 16, 14, 14), x(16, 8, 2, 2, scale=0.2), stride=2)),
        ("matmul", FLOATS, None, lambda x: x(300, 200) @ x(200, 250)),
        ("matmul, small", FLOATS, None, lambda x: x(3, 17) @ x(17, 5)),
        ("bmm", FLOATS, None, lambda x: torch.bmm(x(12, 60, 40), x(12, 40, 50))),
        ("linear", FLOATS, None, lambda x: F.linear(x(64, 256), x(512, 256, scale=0.1), x(512))),
        ("mv", FLOATS, None, lambda x: x(300, 200) @ x(200)),
        ("attention", FLOATS, None, attention),
        ("attention, masked", FLOATS, None, masked),
        ("attention, backward", FLOATS, "cudnn-train", backward_attention),
        ("batch_norm, training", FLOATS, "cudnn-train", batch_norm),
        ("norms", FLOATS, None, norms),
        ("pooling", FLOATS, None, pooling),
        ("interpolation", FLOATS, None, interpolation),
        ("activations", FLOATS, None, activations),
        ("arithmetic", FLOATS, None, arithmetic),
        ("reductions", FLOATS, None, reductions),
        ("losses", ("fp32",), None, losses),
        ("ordering", ("fp32",), None, ordering),
        ("sort, long", ("fp32",), None, long_sort),
        ("indexing", EXACT, None, indexing),
        ("unique", EXACT, None, unique),
        ("embedding", ("fp32", "fp16"), None, embedding),
        ("autograd", FLOATS, "cudnn-train", training),
        ("optimizer", ("fp32",), None, optimizing),
        ("lstm", ("fp32",), "cudnn-adv", recurrent),
        ("nms", ("fp32",), "torchvision", nms),
        ("roi_align", ("fp32",), "torchvision", roi_align),
        ("deform_conv2d", ("fp32",), "torchvision", deformable),
        ("fft", ("fp32",), "cufft", fft),
        ("linalg", ("fp32",), "cusolver", linalg),
        ("sparse", ("fp32",), "cusparse", sparse),
    ]


def models(torch):
    """Whole networks with random weights."""

    def resnet(x):
        import torchvision

        torch.manual_seed(1)
        return x.module(torchvision.models.resnet18(weights=None))(x(2, 3, 96, 96))

    def transformer(x):
        torch.manual_seed(2)
        layer = torch.nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
        return x.module(torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False))(x(4, 30, 64))

    def detector(x):
        import torchvision

        torch.manual_seed(3)
        build = torchvision.models.detection.fasterrcnn_mobilenet_v3_large_320_fpn
        network = x.module(build(weights=None, weights_backbone=None))
        image = x(3, 200, 260).abs().clamp(max=1)
        features = network.backbone(image[None])
        found = network([image])[0]
        # Which boxes are found turns on the last bits of random scores: they are compared with another run alone.
        x.also(found["boxes"], found["scores"], found["labels"])
        return list(features.values())

    return [
        ("resnet18", FLOATS, "torchvision", resnet),
        ("transformer", FLOATS, None, transformer),
        ("detector", ("fp32",), "torchvision", detector),
    ]
`;
