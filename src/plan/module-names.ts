/** Distributions whose modules have another name, by module. */
const known: Record<string, string[] | undefined> = {
  attr: ["attrs"],
  bs4: ["beautifulsoup4"],
  Crypto: ["pycryptodome"],
  cv2: ["opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"],
  dateutil: ["python-dateutil"],
  dns: ["dnspython"],
  docx: ["python-docx"],
  dotenv: ["python-dotenv"],
  fitz: ["pymupdf"],
  git: ["gitpython"],
  jose: ["python-jose"],
  jwt: ["pyjwt"],
  magic: ["python-magic"],
  multipart: ["python-multipart"],
  MySQLdb: ["mysqlclient"],
  OpenSSL: ["pyopenssl"],
  PIL: ["pillow"],
  pkg_resources: ["setuptools"],
  psycopg2: ["psycopg2-binary"],
  skimage: ["scikit-image"],
  sklearn: ["scikit-learn"],
  slugify: ["python-slugify"],
  socketio: ["python-socketio"],
  yaml: ["pyyaml"],
  zmq: ["pyzmq"],
};

/** Whether a distribution (normalised name, PEP 503) probably brings a top-level module; nothing is opened to know. */
export function mayProvide(distribution: string, module: string): boolean {
  const name = module.toLowerCase().replaceAll("_", "-");
  return distribution === name || distribution === `python-${name}` || (known[module]?.includes(distribution) ?? false);
}
