/*
 * test_sandboxed.c: do programs that lock themselves in run as without us?
 *
 * Behind a seccomp filter, in a chroot, as another user, in namespaces of their own: no system call
 * of ours may be the one that ends them. What is not installed is left out by name.
 */
#include "tests/e2e/twice.h"
#include "tests/soak.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void
need(const char *program)
{
	char script[256];

	snprintf(script, sizeof(script), "command -v %s", program);
	if (twice_succeeds(script))
		return;
	print_message("skip: %s is not installed\n", program);
	skip();
}

static void
need_root(void)
{
	if (geteuid() == 0)
		return;
	print_message("skip: not root\n");
	skip();
}

static void
test_file(void **state)
{
	(void)state;
	need("file");
	assert_true(twice_compare("file -b /bin/sh \"$D/peer.py\" | cut -c1-20; "
				  "file -bz /dev/null; exit 3") >= 3);
}

/* What man starts behind its filter can make no file: each such process says so in one line. */
static void
test_man(void **state)
{
	size_t lines;

	(void)state;
	need("man");
	need("mandb");
	assert_true(twice_compare_said(
			"mkdir -p \"$D/man/man1\"; chmod -R a+rX \"$D/man\"; printf '.TH T 1\\n.SH "
			"NAME\\nt \\\\- nothing\\n' >\"$D/man/man1/t.1\"; mandb -c -q \"$D/man\"; "
			"man -M \"$D/man\" t; whatis -M \"$D/man\" t; rm -r \"$D/man\"; exit 3",
			"vmtrace: not recording: a seccomp filter forbids making the output file",
			&lines) >= 10);
	assert_in_range(lines, 1, 4);
}

/* With its filter bookworm's vsftpd dies of its own fstat once a file is asked for: that is left
 * out. */
static void
test_vsftpd(void **state)
{
	(void)state;
	need("vsftpd");
	need_root();
	assert_true(twice_compare("python3 \"$D/peer.py\" NO; exit 3") >= 4);
	assert_true(twice_compare("python3 \"$D/peer.py\" YES; exit 3") >= 4);
}

/* A login by key, which the unprivileged child behind its filter negotiates, and one refused. */
static void
test_sshd(void **state)
{
	(void)state;
	need("sshd");
	need("ssh-keygen");
	need_root();
	assert_true(
	    twice_compare(
		"mkdir -p \"$D/ssh\" /run/sshd; cd \"$D/ssh\"; chmod 700 .\n"
		"for k in host key other; do ssh-keygen -q -t ed25519 -N '' -f $k; done\n"
		"port=$(python3 -c 'import socket; s = socket.socket(); s.bind((\"127.0.0.1\", "
		"0)); "
		"print(s.getsockname()[1])')\n"
		"printf '%s\\n' \"Port $port\" 'ListenAddress 127.0.0.1' \"HostKey $PWD/host\" "
		"\"AuthorizedKeysFile $PWD/key.pub\" 'StrictModes no' \"PidFile $PWD/pid\" 'UsePAM "
		"no' "
		"'PermitRootLogin yes' >conf\n"
		"/usr/sbin/sshd -D -f \"$PWD/conf\" 2>log & server=$!\n"
		"until [ -s pid ]; do kill -0 $server || exit 4; sleep 0.02; done\n"
		"for k in key other; do ssh -F none -i $k -p $port -o BatchMode=yes -o "
		"IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o "
		"LogLevel=ERROR root@127.0.0.1 'id -un; head -c 300000 /dev/zero | cksum; exit 7'; "
		"echo $?; done\n"
		"while pgrep -P $server >/dev/null; do sleep 0.02; done\n"
		"kill $server; wait $server; grep -c Accepted log; grep -c -e fatal -e error log; "
		"cd ..; rm -r ssh; exit 3") >= 8);
}

/* With its sandbox, which needs an ordinary user and user namespaces; as root without. */
static void
test_chromium(void **state)
{
	static const char browse[] =
	    "mkdir -m 777 \"$D/profile\"; cd \"$D/profile\"\n"
	    "%s HOME=\"$D/profile\" XDG_RUNTIME_DIR=\"$D/profile\" LD_PRELOAD=$OURS chromium "
	    "--headless %s --disable-gpu --disable-quic --no-first-run "
	    "--disable-background-networking --disable-component-update --disable-sync "
	    "--user-data-dir=\"$D/profile\" --dump-dom \"file://$D/page.html\" 2>errors\n"
	    "while pgrep -f \"$D/profile\" >pids; do sleep 0.05; done\n"
	    "grep -c -e vmtrace: -e FATAL -e 'ended by' errors; cd ..; rm -r profile; exit 3";
	const char *library = scratch_file("libvmtrace.so");
	char script[2048];

	(void)state;
	need("chromium");
	need_root();
	setenv("LIBRARY", built("libvmtrace.so"), 1);
	assert_true(twice_succeeds("install -m 755 \"$LIBRARY\" \"$D\""));
	snprintf(script, sizeof(script), browse, "runuser -u nobody -- env", "");
	assert_true(twice_compare_preloading(script, library) >= 6);
	snprintf(script, sizeof(script), browse, "env", "--no-sandbox");
	if (soak_count(0, 1) != 0)
		assert_true(twice_compare_preloading(script, library) >= 6);
}

/* peer.py starts an FTP server and prints what it is answered, as far as that goes. */
static int
write_programs(void **state)
{
	(void)state;
	twice_set_up();
	setenv("PATH", "/usr/bin:/bin:/usr/sbin:/sbin", 1);
	assert_true(twice_succeeds(
	    "mkdir -p \"$D/ftp/pub\" \"$D/empty\" && seq 99999 >\"$D/ftp/pub/numbers\" && chmod "
	    "755 "
	    "\"$D/ftp\" \"$D/ftp/pub\" \"$D/empty\"\n"
	    "echo '<p id=p></p><script>var a = []; for (var i = 0; i < 99999; i++) a.push({x: i}); "
	    "document.getElementById(\"p\").textContent = a.length + 7</script>' "
	    ">\"$D/page.html\"\n"
	    "cat >\"$D/peer.py\" <<'END'\n"
	    "import ftplib, hashlib, os, socket, subprocess, sys, time\n"
	    "place = os.environ['D']\n"
	    "s = socket.socket(); s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]; s.close()\n"
	    "with open(place + '/conf', 'w') as conf:\n"
	    "    "
	    "conf.write('listen=YES\\nlisten_address=127.0.0.1\\nlisten_port=%d\\nbackground=NO\\n'"
	    "\n"
	    "               'anonymous_enable=YES\\nlocal_enable=NO\\nno_anon_password=YES\\n'\n"
	    "               "
	    "'xferlog_enable=NO\\nanon_root=%s/ftp\\nsecure_chroot_dir=%s/empty\\n'\n"
	    "               'seccomp_sandbox=%s\\n' % (port, place, place, sys.argv[1]))\n"
	    "server = subprocess.Popen(['vsftpd', place + '/conf'])\n"
	    "ftp = ftplib.FTP()\n"
	    "while True:\n"
	    "    try: ftp.connect('127.0.0.1', port, 20); break\n"
	    "    except ConnectionRefusedError: time.sleep(.02)\n"
	    "    assert server.poll() is None\n"
	    "digest = hashlib.md5()\n"
	    "steps = [ftp.login, lambda: ftp.cwd('pub'), ftp.pwd] + [\n"
	    "    lambda c=c: ftp.voidcmd(c) for c in ['NOOP', 'SYST', 'HELP', 'TYPE I']]\n"
	    "if sys.argv[1] == 'NO':\n"
	    "    steps += [lambda: ftp.retrbinary('RETR numbers', digest.update), "
	    "digest.hexdigest,\n"
	    "        ftp.nlst, ftp.quit]\n"
	    "for step in steps: print(step())\n"
	    "ftp.close()\n"
	    "while subprocess.run(['pgrep', '-P', str(server.pid)], stdout=-3).returncode == 0: "
	    "time.sleep(.02)\n"
	    "server.terminate()\n"
	    "print(server.wait())\n"
	    "END\n"));
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_file),     cmocka_unit_test(test_man),
	    cmocka_unit_test(test_vsftpd),   cmocka_unit_test(test_sshd),
	    cmocka_unit_test(test_chromium),
	};

	return cmocka_run_group_tests_name("sandboxed", tests, write_programs, NULL);
}
