/*
 * procfs.h: reads and parses the files of /proc/PID
 *
 * Opens them, reads them into the caller's buffers, and takes maps, statm, stat and smaps_rollup
 * apart (Documentation/filesystems/proc.rst). Nothing is allocated, nothing remembered; thread and
 * signal safe. Descriptors belong to the caller. A descriptor of maps, pagemap or
 * smaps_rollup stays tied to the address space it was opened on: after exec or exit it reads as
 * empty. One of stat or statm shows the process as it is. Errors: negative errno, or false for text
 * that is not what it should be.
 */
#ifndef VMT_PROCFS_H
#define VMT_PROCFS_H

#include "base/maps_line.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Enough for one line of maps: its path has PATH_MAX bytes at most, each escaped fourfold. */
#define VMT_PROCFS_LINE_BYTES (20u * 1024)

/* A figure for which there is no line. */
#define VMT_PROCFS_UNKNOWN UINT64_MAX

/* TASK_COMM_LEN, NULs to its end. */
#define VMT_PROCFS_NAME_BYTES 16u

struct vmt_procfs_statm {
	uint64_t virtual_pages;
	uint64_t resident_pages;
	uint64_t shared_pages;
};

#define VMT_PROCFS_EXITING UINT64_C(0x4) /* PF_EXITING, include/linux/sched.h */

struct vmt_procfs_stat {
	char state;			  /* R S D T t Z X I */
	char name[VMT_PROCFS_NAME_BYTES]; /* field 2: the last exec's, or what it calls itself */
	uint64_t parent_pid;
	uint64_t flags;		  /* field 9: the kernel's, as VMT_PROCFS_EXITING */
	uint64_t minor_faults;	  /* field 10: of all its threads, also those that have ended */
	uint64_t major_faults;	  /* field 12 */
	uint64_t children_faults; /* field 11: minor ones of all children that were waited for */
	uint64_t threads;	  /* field 20; the first one counts until all have ended */
	uint64_t start_ticks;	  /* field 22 */
	uint64_t stack_start;	  /* field 28; 0 without permission to trace */
	uint64_t exit_code;	  /* field 52, as waitpid's status; 0 without permission to trace */
};

/* Of /proc/PID/status; VMT_PROCFS_UNKNOWN where it has no such line. */
struct vmt_procfs_status {
	uint64_t swap_bytes;	/* of private memory: entries of page tables that are in swap */
	uint64_t hugetlb_bytes; /* pages of hugetlbfs */
	uint64_t anonymous_bytes;
	uint64_t file_bytes;
	uint64_t shared_memory_bytes;
	uint64_t page_table_bytes;
	uint64_t locked_bytes;
	uint64_t peak_rss_bytes; /* VmHWM: of this address space, so far */
	uint64_t threads;
	uint64_t file_user; /* the last of "Uid:", by which files are opened; of the reader's user
			       namespace */
};

struct vmt_procfs_rollup {
	uint64_t rss_bytes;
	uint64_t lazyfree_bytes;
	uint64_t huge_bytes; /* AnonHugePages + ShmemPmdMapped + FilePmdMapped */
	uint64_t swap_bytes;
	/* VMT_PROCFS_UNKNOWN where there is no such line: */
	uint64_t proportional_bytes;
	uint64_t proportional_anonymous_bytes; /* Linux 5.4 and later */
	uint64_t private_bytes;
	uint64_t shared_bytes;
	uint64_t anonymous_huge_bytes;
	uint64_t locked_rss_bytes;
};

/* Descriptors of what is watched of one process; negative = none, and why. */
struct vmt_procfs_watch {
	int stat_fd;
	int pidfd;
	int maps_fd;
	int pagemap_fd;
	int statm_fd;
	int rollup_fd;
	uint64_t stack_start; /* when they were opened; 0 = not known */
};

/* Of the machine since it was started; zeros where it can't be read. */
void vmt_procfs_boot_id(unsigned char id[16]);

/* This process's number in /proc, which may be that of another pid namespace; 0 = not known. */
uint32_t vmt_procfs_own_number(void);

/* The pid namespace of this process, as /proc/self/ns/pid has its inode; 0 = not known. */
uint64_t vmt_procfs_pid_namespace(void);

/* Whether this process is in another mount namespace than process 1. Without leave to look at that:
 * than the machine's first. */
bool vmt_procfs_is_own_namespace(void);

/* Whether a process is in this process's user namespace; false where that can't be told. */
bool vmt_procfs_shares_users(uint32_t pid);

/* Whether a process has this pid, of which /proc shows nothing: it is mounted with hidepid=, or is
 * that of another pid namespace. */
bool vmt_procfs_is_hidden(uint32_t pid);

/* In the order of need. */
void vmt_procfs_watch(struct vmt_procfs_watch *watch, uint32_t pid);

/* Opens /proc/PID/name (pid 0: /proc/self/name) for reading. Descriptor or negative errno. */
int vmt_procfs_open(uint32_t pid, const char *name);

/* The whole of a file of one record, such as stat, status or cmdline, by one call: to be told that
 * it ends, the kernel would make it a second time. Bytes, at most length, or negative errno. */
long vmt_procfs_read_once(int fd, char *buffer, size_t length);

/* Reads from the start up to the end or a full buffer; bytes read or negative errno. */
long vmt_procfs_read(int fd, char *buffer, size_t length);

/* Whether the address space that a descriptor of maps was opened on still exists. */
bool vmt_procfs_is_mapped(int maps_fd);

/* One line of maps without its newline. mapping->path points into the line; device is
 * major << 20 | minor. False when the line is not one. */
bool vmt_procfs_parse_mapping(const char *line, size_t length, struct vmt_mapping *mapping);

/* Calls visit for each whole line (ending in a newline) of maps text, until it returns false.
 * Returns the bytes consumed; malformed lines are stepped over. */
size_t vmt_procfs_each_mapping(const char *text, size_t length,
			       bool (*visit)(void *context, const struct vmt_mapping *mapping),
			       void *context);

/* Reads maps from the descriptor's position to its end through a buffer of at least
 * VMT_PROCFS_LINE_BYTES, calling visit as above. The kernel holds the mmap lock for one buffer at
 * a time only, so mappings that change meanwhile may be missed or seen twice. 0 or negative errno.
 */
int vmt_procfs_walk_maps(int fd, char *buffer, size_t length,
			 bool (*visit)(void *context, const struct vmt_mapping *mapping),
			 void *context);

bool vmt_procfs_parse_statm(const char *text, size_t length, struct vmt_procfs_statm *statm);
bool vmt_procfs_parse_stat(const char *text, size_t length, struct vmt_procfs_stat *stat);
bool vmt_procfs_parse_status(const char *text, size_t length, struct vmt_procfs_status *status);
bool vmt_procfs_parse_rollup(const char *text, size_t length, struct vmt_procfs_rollup *rollup);

/* Reads and parses through a descriptor that stays open. False when the process is gone. */
bool vmt_procfs_read_statm(int fd, struct vmt_procfs_statm *statm);
bool vmt_procfs_read_stat(int fd, struct vmt_procfs_stat *stat);
bool vmt_procfs_read_rollup(int fd, struct vmt_procfs_rollup *rollup);
bool vmt_procfs_read_status(int fd, struct vmt_procfs_status *status);

#endif
