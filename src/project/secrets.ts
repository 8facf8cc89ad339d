/** Why a file looks like a secret by its name, or undefined. Certificates are told apart from keys by `secretByContent`. */
export function secretByName(path: string): string | undefined {
  const name = path.slice(path.lastIndexOf("/") + 1).toLowerCase();
  if (publicNames.test(name)) return undefined;
  for (const [pattern, rule] of secretNames) if (pattern.test(name)) return rule;
  return folders.exec(path)?.[1] === undefined ? undefined : "credentials of a tool";
}

/** Whether a file's first bytes should be looked at: small text that people keep keys in, not code and not data. */
export function mayHoldSecret(path: string, size: number): boolean {
  if (size < 64 || size > MAX_SECRET_FILE) return false;
  const name = path.slice(path.lastIndexOf("/") + 1).toLowerCase();
  return !name.includes(".") || keyHolders.test(name);
}

/** Key files are a few kilobytes. */
const MAX_SECRET_FILE = 64_000;

/** Bytes that `secretByContent` wants. */
export const SECRET_HEAD = 4096;

/** Why the first bytes of a file say that it is a secret, or undefined. */
export function secretByContent(path: string, head: string): string | undefined {
  if (privateKey.test(head)) return "holds a private key";
  if (/\.json$/i.test(path) && /"type"\s*:\s*"service_account"/.test(head) && /"private_key(?:_id)?"/.test(head)) {
    return "holds a service account's key";
  }
  return undefined;
}

/** A .pem file with certificates or public keys alone is no secret. */
export function isPublicPem(head: string): boolean {
  return (
    /-----BEGIN (?:TRUSTED |X509 )?(?:CERTIFICATE|CRL|PUBLIC KEY|RSA PUBLIC KEY|DH PARAMETERS|EC PARAMETERS)/.test(
      head,
    ) && !privateKey.test(head)
  );
}

const publicNames =
  /^\.env(?:\..*)?\.(?:example|sample|template|dist|tpl|tmpl|defaults?)$|^\.?(?:example|sample|template)\.env$|^\.env[-_](?:example|sample|template|dist)$|\.pub$/;

const secretNames: [RegExp, string][] = [
  [/^\.env(?:[._-].*)?$|^.+\.env$|^\.envrc$/, "environment file"],
  [/\.pem$/, "*.pem, may hold a private key"],
  [/\.(?:key|p12|pfx|jks|keystore|kdbx|ppk|asc\.key|agekey)$/, "key store or private key by its name"],
  [/^id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?$/, "SSH private key by its name"],
  [
    /^(?:\.netrc|_netrc|\.pypirc|\.npmrc|\.pgpass|\.htpasswd|\.git-credentials|\.dockercfg|\.my\.cnf|\.s3cfg|\.boto)$/,
    "credentials of a tool",
  ],
  [
    /^(?:credentials|secrets?|client_secrets?|service[-_]?account(?:[-_]?key)?|gcp[-_]?key|firebase-adminsdk.*)\.json$/,
    "credentials by its name",
  ],
  [/^(?:secrets?|credentials)\.(?:ya?ml|toml|ini|env)$/, "credentials by its name"],
  [
    /^(?:\.vault[-_]pass(?:word)?|vault[-_]pass(?:word)?(?:\.txt)?|terraform\.tfstate(?:\.backup)?|.*\.tfvars)$/,
    "credentials by its name",
  ],
];

const folders = /(?:^|\/)(\.aws|\.ssh|\.gnupg|\.kube|\.docker|\.azure|\.gcloud)\//;
const keyHolders = /\.(?:pem|key|txt|json|ya?ml|toml|ini|cfg|conf|crt|cer|env|asc|sh|properties)$/;
const privateKey =
  /-----BEGIN (?:(?:RSA|EC|DSA|OPENSSH|ENCRYPTED|PGP) )?PRIVATE KEY(?: BLOCK)?-----(?:\\r)?(?:\\n|\s)+(?:[A-Za-z-]+: [^\n]*\n\s*)*[A-Za-z0-9+/=]{32,}/;
