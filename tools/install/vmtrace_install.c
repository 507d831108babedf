/*
 * vmtrace_install.c: puts libvmtrace.so into a directory.
 *
 * For the init container of a pod whose images have no shell and no cp: one static file that has
 * the library in it, for glibc and for musl. The library appears whole, or not at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "libvmtrace.so"

extern const unsigned char vmt_library_glibc[], vmt_library_glibc_end[];
extern const unsigned char vmt_library_musl[], vmt_library_musl_end[];

static bool
write_all(int fd, const unsigned char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t done = write(fd, bytes, length);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		bytes += done;
		length -= (size_t)done;
	}
	return true;
}

/* Under a name of its own first. In a container it is always process 1: what one that was killed
 * has left goes. */
static bool
install(const unsigned char *bytes, size_t length)
{
	char beside[64];
	int fd;
	bool done;

	snprintf(beside, sizeof(beside), "." NAME ".%d", (int)getpid());
	unlink(beside);
	fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	if (fd < 0)
		return false;
	done = write_all(fd, bytes, length) && fchmod(fd, 0755) == 0;
	done = close(fd) == 0 && done;
	if (done && rename(beside, NAME) == 0)
		return true;
	fd = errno;
	unlink(beside);
	errno = fd;
	return false;
}

int
main(int argc, char **argv)
{
	bool is_musl = argc > 1 && strcmp(argv[1], "--musl") == 0;
	const unsigned char *start = is_musl ? vmt_library_musl : vmt_library_glibc;
	const unsigned char *end = is_musl ? vmt_library_musl_end : vmt_library_glibc_end;
	const char *directory = argv[argc - 1];

	if (argc != 2 + is_musl) {
		fprintf(stderr, "usage: vmtrace-install [--musl] DIR\n"
				"Puts " NAME " (for glibc, or for musl) into DIR.\n");
		return 2;
	}
	if (start == end) {
		fprintf(stderr, "vmtrace-install: it was built without the library for %s\n",
			is_musl ? "musl" : "glibc");
		return 1;
	}
	if (chdir(directory) == 0 && install(start, (size_t)(end - start)))
		return 0;
	fprintf(stderr, "vmtrace-install: %s: %s\n", directory, strerror(errno));
	return 1;
}
