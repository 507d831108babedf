#include "tools/read/symbols/lookup_child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

void
vmt_lookup_child_end(struct vmt_lookup_child *child)
{
	if (child->pid == 0)
		return;
	close(child->socket);
	kill(child->pid, SIGKILL);
	while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
		;
	child->pid = 0;
}

static size_t
hear(struct vmt_lookup_child *child, const struct vmt_lookup_limits *limits,
     unsigned char packet[VMT_LOOKUP_PACKET_BYTES])
{
	struct pollfd waiting = {.fd = child->socket, .events = POLLIN};
	ssize_t got;

	while ((got = poll(&waiting, 1, (int)limits->wait_ms)) < 0 && errno == EINTR)
		;
	if (got > 0)
		got = recv(child->socket, packet, VMT_LOOKUP_PACKET_BYTES, 0);
	if (got >= (ssize_t)sizeof(struct vmt_lookup_answer))
		return (size_t)got;
	vmt_lookup_child_end(child);
	return 0;
}

bool
vmt_lookup_child_make(struct vmt_lookup_child *child, const char *root,
		      const struct vmt_recorded_files *recorded, const struct vmt_module *module,
		      enum vmt_lookup_trust trust, const struct vmt_lookup_limits *limits)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return false;
	child->pid = fork();
	if (child->pid == 0)
		vmt_lookup_serve(ends[1], root, recorded, module, trust, limits);
	close(ends[1]);
	child->socket = ends[0];
	if (child->pid > 0)
		return true;
	close(ends[0]);
	child->pid = 0;
	return false;
}

size_t
vmt_lookup_child_ask(struct vmt_lookup_child *child, const void *question, size_t length,
		     const struct vmt_lookup_limits *limits,
		     unsigned char packet[VMT_LOOKUP_PACKET_BYTES])
{
	if (send(child->socket, question, length, MSG_NOSIGNAL) != (ssize_t)length) {
		vmt_lookup_child_end(child);
		return 0;
	}
	return hear(child, limits, packet);
}

uint64_t
vmt_lookup_child_bytes(const struct vmt_lookup_child *child)
{
	unsigned long kib = 0;
	char line[128];
	FILE *file;

	snprintf(line, sizeof(line), "/proc/%ld/smaps_rollup", (long)child->pid);
	file = fopen(line, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file) && sscanf(line, "Private_Dirty: %lu", &kib) != 1)
		;
	fclose(file);
	return (uint64_t)kib * 1024;
}
