#include "collect/remote_read.h"

#include "base/assert.h"
#include "base/sys.h"

#include <errno.h>
#include <sys/uio.h>

#define AT_ONCE 128u

int
vmt_remote_read(uint32_t pid, uint64_t address, void *to, size_t bytes)
{
	struct iovec local = {to, bytes};
	struct iovec remote = {(void *)(uintptr_t)address, bytes};
	long got = vmt_sys_call6(SYS_process_vm_readv, pid, (long)&local, 1, (long)&remote, 1, 0);

	if (got < 0)
		return (int)got;
	return (size_t)got == bytes ? 0 : -EFAULT;
}

/* As many of [from, from + count) as can be read, and one more that can't. Returns how many it has
 * visited, at least one, or an error that holds for all. */
static long
read_some(const struct vmt_remote_pieces *pieces, size_t from, size_t count)
{
	unsigned char bytes[AT_ONCE * VMT_REMOTE_PIECE_MOST_BYTES];
	struct iovec remote[AT_ONCE];
	struct iovec local = {bytes, count * pieces->piece_bytes};
	size_t whole;
	long got;

	vmt_assert(count != 0 && count <= AT_ONCE);
	for (size_t i = 0; i < count; i++)
		remote[i] = (struct iovec){(void *)(uintptr_t)pieces->addresses[from + i],
					   pieces->piece_bytes};
	got = vmt_sys_call6(SYS_process_vm_readv, pieces->pid, (long)&local, 1, (long)remote,
			    (long)count, 0);
	if (got < 0 && got != -EFAULT)
		return got;
	whole = got < 0 ? 0 : (size_t)got / pieces->piece_bytes;
	for (size_t i = 0; i < whole; i++)
		pieces->visit(pieces->context, from + i, bytes + i * pieces->piece_bytes);
	if (whole < count)
		pieces->visit(pieces->context, from + whole++, NULL);
	return (long)whole;
}

int
vmt_remote_read_pieces(const struct vmt_remote_pieces *pieces)
{
	vmt_assert(pieces->piece_bytes != 0 && pieces->piece_bytes <= VMT_REMOTE_PIECE_MOST_BYTES);
	for (size_t at = 0; at < pieces->count;) {
		size_t left = pieces->count - at;
		long visited = read_some(pieces, at, left < AT_ONCE ? left : AT_ONCE);

		if (visited < 0)
			return (int)visited;
		at += (size_t)visited;
		if (pieces->pause)
			pieces->pause(pieces->pause_context);
	}
	return 0;
}
