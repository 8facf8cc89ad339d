/**
 * The uv that installs from a uv.lock, by version and by the hashes of its wheels for Linux (x86_64 and aarch64, glibc).
 * Part of Sheaf, so that the same repository gives the same Dockerfile on every machine.
 */
export const uvRelease = {
  version: "0.13.9",
  sha256: [
    "d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19",
    "ecb6028d79dc96fbeafffe5c8af62a7099487ebc05a701e76714eebcffd06375",
    "5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe",
  ],
} as const;
