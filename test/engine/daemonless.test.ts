import { describeDaemonless } from "./daemonless-suite.ts";
import { namespacesWork } from "./namespaces-available.ts";

describeDaemonless("an image without an engine (skipped where unshare --user fails)", !namespacesWork());
