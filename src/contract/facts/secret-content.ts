import { secretByContent } from "../../project/secrets.ts";

/**
 * Why a text looks like a secret, or undefined. Only forms that are what they look like: keys with a fixed prefix and
 * length as their issuers document them, and private keys. Examples of manuals and placeholders are none.
 */
export function secretInText(path: string, text: string): string | undefined {
  const told = secretByContent(path, text);
  if (told !== undefined) return told;
  if (!anyPrefix.test(text)) return undefined;
  for (const { pattern, what } of tokens) {
    for (const [found] of text.matchAll(pattern)) if (!isPlaceholder(found)) return `holds ${what}`;
  }
  return undefined;
}

/** A made-up value of documentation: `AKIAIOSFODNN7EXAMPLE`, rows of one character, counting. */
export function isPlaceholder(value: string): boolean {
  return (
    /example|placeholder|changeme|change[-_]?me|your[-_]|xxxx|dummy|\*\*\*|<[^>]*>|\$\{?\w|0000000|1234567|abcdefg/i.test(
      value,
    ) || new Set(value.slice(4)).size < 6
  );
}

const anyPrefix =
  /AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|xox[abprs]-|AIza|sk_live_|rk_live_|pypi-AgE|npm_[A-Za-z0-9]{8}|hf_[A-Za-z0-9]{8}|sk-ant-|sk-proj-|SG\.[A-Za-z0-9_-]{8}|dop_v1_/;

const tokens: { pattern: RegExp; what: string }[] = [
  { pattern: /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g, what: "an AWS access key" },
  { pattern: /\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bgithub_pat_[A-Za-z0-9_]{60,}\b/g, what: "a GitHub token" },
  { pattern: /\bglpat-[A-Za-z0-9_-]{20}\b/g, what: "a GitLab token" },
  { pattern: /\bxox[abprs]-(?:\d{10,}-){1,3}[A-Za-z0-9-]{16,}\b/g, what: "a Slack token" },
  { pattern: /\bAIza[0-9A-Za-z_-]{35}\b/g, what: "a Google API key" },
  { pattern: /\b[sr]k_live_[0-9A-Za-z]{20,}\b/g, what: "a Stripe live key" },
  { pattern: /\bpypi-AgE[A-Za-z0-9_-]{50,}\b/g, what: "an upload token of a package index" },
  { pattern: /\bnpm_[A-Za-z0-9]{36}\b/g, what: "an npm token" },
  { pattern: /\bhf_[A-Za-z0-9]{34}\b/g, what: "a Hugging Face token" },
  { pattern: /\bsk-(?:ant|proj)-[A-Za-z0-9_-]{32,}\b/g, what: "an API key of a model provider" },
  { pattern: /\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}\b/g, what: "a SendGrid key" },
  { pattern: /\bdop_v1_[a-f0-9]{64}\b/g, what: "a DigitalOcean token" },
];
