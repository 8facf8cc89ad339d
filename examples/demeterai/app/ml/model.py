"""A small fully convolutional network that turns a photo into a density map, whose sum is the number of plants."""

from torch import Tensor, nn

# Photos are counted at this width; the network has seen plants 6 to 14 pixels wide.
INPUT_WIDTH = 256


class DensityNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 12, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(24, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 1, 1),
            nn.Softplus(),
        )

    def forward(self, photos: Tensor) -> Tensor:
        """RGB in [0, 1], N×3×H×W, to plants per cell of 4×4 pixels, N×1×H/4×W/4."""
        return self.features(photos)
