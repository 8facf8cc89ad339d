/** Words that maintainer scripts use and that change nothing in an image, by the reason. */

/** They change nothing anywhere, or only what the script itself sees; whether they succeed is not known. */
export const pureCommands: ReadonlySet<string> = new Set(
  (
    "awk basename cat cmp comm cut date diff dirname du egrep expr fgrep find gawk grep head id ischroot ls mawk md5sum mktemp mountpoint " +
    "base64 getcap tac zcat gzip lsb_release pidof pgrep ps pwd readlink realpath runlevel sed sha1sum sha256sum sha512sum sleep sort stat tail tempfile tr uname uniq wc " +
    "xargs yes getconf env logname locale nproc numfmt seq column"
  ).split(" "),
);

/** They always succeed here, and change nothing. */
export const quietCommands: ReadonlySet<string> = new Set(
  (
    ": true echo printf umask trap cd wait sync alias hash ulimit logger pushd popd shopt kill chronic " +
    "log_action_msg log_begin_msg log_daemon_msg log_end_msg log_failure_msg log_success_msg log_warning_msg log_progress_msg"
  ).split(" "),
);

/** Known, and left out because an image has no use for what they do. */
export const leftOutCommands: ReadonlyMap<string, string> = new Map(
  Object.entries({
    "services, which nothing starts in a container":
      "deb-systemd-helper deb-systemd-invoke invoke-rc.d service start-stop-daemon systemctl systemd-sysctl telinit update-rc.d init initctl",
    "hardware, the kernel and booting, which are the host's":
      "depmod modprobe sysctl systemd-hwdb udevadm update-initramfs update-grub apparmor_parser aa-status aa-enabled kexec systemd-detect-virt journalctl",
    "caches, which programs do without or make for themselves":
      "fc-cache update-mime-database update-desktop-database gtk-update-icon-cache update-icon-caches glib-compile-schemas gio-querymodules " +
      "gdk-pixbuf-query-loaders gtk-query-immodules-3.0 gtk-query-immodules-2.0 update-fonts-alias update-fonts-dir update-fonts-scale " +
      "install-info mandb update-menus update-mime update-gsfontmap update-fonts-scale ccache update-perl-sax-parsers appstreamcli " +
      "update-dictcommon-hunspell update-dictcommon-aspell update-default-wordlist update-default-ispell aspell-autobuildhash " +
      "ispell-autobuildhash install-docs update-catalog update-xmlcatalog mktexlsr update-language journalctl debconf-set-selections selinux_compile_fcontexts",
    "bytecode, which Sheaf makes itself where it is wanted":
      "py3compile pycompile py3clean pyclean pypy3compile pypycompile py_compile",
    "upgrades, of which there are none":
      "dpkg-maintscript-helper update-passwd ucfr groupmod chage chsh chfn restart-if-needed needrestart",
    "work for other packages' scripts": "dpkg-trigger run-parts emacsen-common emacs-package-install emacs-install",
    "shells, which /etc/shells lists from what is there": "update-shells remove-shell",
    "the certificate bundle, which is put together from all packages": "update-ca-certificates c_rehash",
    "passwords, which are locked": "pwconv grpconv pwck shadowconfig passwd chpasswd vipw",
    "file capabilities, which a container without privileges does not get": "setcap",
    "locales, which locale-gen compiles on request; C.UTF-8 is always there":
      "locale-gen update-locale localedef validlocale",
    "the machine's id, which the runtime gives": "dbus-uuidgen systemd-machine-id-setup",
    "manuals of the database's tools": "configure_client_version",
    "a certificate for the machine's own name, and its key, which an image would hand to everybody": "make-ssl-cert",
    "what PostgreSQL keeps up on a machine: dictionaries of other packages, apt's configuration, the kernel's limits":
      "pg_checksystem pg_updatedicts pg_updateaptconfig",
    "a database cluster, which is made when the server first starts": "configure_version",
    "temporary files, which are made when a service starts": "systemd-tmpfiles",
  }).flatMap(([reason, names]) => names.split(" ").map((name) => [name, reason] as const)),
);

/** Places whose contents are made while running, and that an image does without. */
export const transientPaths =
  /^\/?(dev|proc|sys|tmp|run|etc\/(hosts|hostname|resolv\.conf|ca-certificates\.conf|apparmor\.d|tmpfiles\.d|locale\.gen|default\/locale)|var\/(run|lock|tmp|log|cache|crash|backups|lib\/(ucf|python|dpkg|systemd|debconf|update-rc\.d|apt|misc|ispell|aspell)))(\/|$)|\.cache$|\.dpkg-(old|tmp|dist|bak|remove)$/;
