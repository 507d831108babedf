/* A report with one row of everything, for the tests of its outputs. */
#ifndef VMT_REPORT_FIXTURE_H
#define VMT_REPORT_FIXTURE_H

#include "format/chunk.h"
#include "tools/model/report/report.h"

#include <string.h>

#define MIB(n) ((uint64_t)(n) << 20)

static char fixture_libc[] = "/lib/x86_64-linux-gnu/libc.so.6";
static char fixture_app[] = "/srv/app/server";
static char fixture_malloc[] = "malloc";
static char fixture_grow[] = "arena_grow";
static char fixture_template[] = "cache::Table<std::pair<std::string, std::vector<long>>, "
				 "cache::detail::Hash<std::string>>::rehash_to_power_of_two";
static char fixture_main[] = "main";
static char fixture_cache[] = "/src/app/cache.c";

static struct vmt_frame fixture_frames_a[] = {
    {fixture_malloc, NULL, fixture_libc, 0x7f0000001000, 0x1000, 0, false},
    {fixture_grow, fixture_cache, fixture_app, 0x400100, 0x100, 88, true},
    {fixture_template, fixture_cache, fixture_app, 0x400200, 0x200, 120, false},
    {fixture_main, fixture_cache, fixture_app, 0x400300, 0x300, 7, false},
};
static struct vmt_frame fixture_frames_b[] = {
    {NULL, NULL, fixture_app, 0x400400, 0x400, 0, false},
    {NULL, NULL, NULL, 0x1234, 0, 0, false},
};
static char fixture_evil[] = "a\033[31m\xff\xc3\x28\xe2\x80\xae\"\\\n\tz";
static struct vmt_frame fixture_frames_c[] = {
    {fixture_evil, fixture_evil, fixture_evil, 1, 1, 1, false},
};

static struct vmt_site fixture_sites[] = {
    {.kind = "mmap",
     .class = "mmap",
     .stack_id = 1,
     .count = 1,
     .live_count = 1,
     .reserved_bytes = MIB(1024),
     .accessible_bytes = MIB(1024),
     .committed_bytes = MIB(8),
     .never_touched_bytes = MIB(1016),
     .total_reserved_bytes = MIB(1024),
     .end_count = VMT_FIGURE_UNKNOWN,
     .temporary_count = VMT_FIGURE_UNKNOWN,
     .end_bytes = MIB(1024),
     .stack = {fixture_frames_b, 2}},
    {.kind = "malloc",
     .class = "malloc live",
     .stack_id = 2,
     .count = 1000,
     .live_count = 900,
     .reserved_bytes = MIB(70),
     .accessible_bytes = MIB(70),
     .committed_bytes = MIB(64),
     .total_reserved_bytes = MIB(100),
     .released_bytes = MIB(30),
     .released_committed_bytes = MIB(29),
     .end_count = 800,
     .temporary_count = 50,
     .end_bytes = MIB(60),
     .estimate = true,
     .stack = {fixture_frames_a, 4}},
    {.kind = "mmap",
     .stack_id = 0,
     .count = 5000,
     .end_count = VMT_FIGURE_UNKNOWN,
     .temporary_count = VMT_FIGURE_UNKNOWN,
     .committed_bytes = 4096,
     .reserved_bytes = 4096},
    {.kind = "brk",
     .stack_id = 9,
     .count = 2,
     .end_count = VMT_FIGURE_UNKNOWN,
     .temporary_count = VMT_FIGURE_UNKNOWN,
     .reserved_bytes = 8192,
     .committed_bytes = 4096,
     .stack = {fixture_frames_c, 1}},
};

static struct vmt_class fixture_classes[] = {
    {"mmap", MIB(1024) + 12288, MIB(1024), MIB(8) + 8192, 0, 0, 0, VMT_FIGURE_UNKNOWN},
    {"malloc live", MIB(70), MIB(70), MIB(64), MIB(1), 0, 0, VMT_FIGURE_UNKNOWN},
    {"mapped files", MIB(90), MIB(90), MIB(59) - 8192, 0, 0, 0, VMT_FIGURE_UNKNOWN},
};

static char fixture_path[] = "/usr/share/a/very/long/path/that/goes/on/and/on/until/it/is/longer/"
			     "than/any/terminal/is/wide/enough/for/data.bin";
static struct vmt_file_row fixture_files[] = {
    {fixture_app, "program and libraries", MIB(10), MIB(1)},
    {fixture_path, "mapped files", MIB(80), MIB(58)},
};
static struct vmt_advice fixture_advice[] = {
    {.advice = "MADV_DONTNEED",
     .calls = 12,
     .bytes = MIB(40),
     .committed_before_bytes = MIB(20),
     .stack = {fixture_frames_a, 4}},
};
static struct vmt_rss_point fixture_rss[] = {
    {0, MIB(1)},
    {500000000, MIB(131)},
    {1000000000, MIB(90)},
    {1000000000, MIB(91)},
};
static char fixture_spot[] = "memory mapped by raw system calls of the Go runtime, which pass libc "
			     "by and so are not seen by any hook";
static char *fixture_spots[] = {fixture_spot};

static inline struct vmt_report
fixture_report(void)
{
	struct vmt_report report;

	memset(&report, 0, sizeof(report));
	report.process.pid = 42;
	report.process.exe = fixture_app;
	report.process.cmdline = fixture_app;
	report.process.duration_ns = 12300000000;
	report.process.end = "exit";
	report.process.end_status = 3;
	report.snapshot.taken = true;
	report.snapshot.time_ns = 500000000;
	report.snapshot.rss_bytes = MIB(131);
	report.snapshot.virtual_bytes = MIB(1184) + 12288;
	report.snapshot.lazyfree_bytes = VMT_FIGURE_UNKNOWN;
	report.snapshot.source = "pagemap-scan";
	report.snapshot.index = 1;
	report.snapshot.count = 3;
	report.classes = fixture_classes;
	report.class_count = 3;
	report.sites = fixture_sites;
	report.site_count = 4;
	report.files = fixture_files;
	report.file_count = 2;
	report.advice = fixture_advice;
	report.advice_count = 1;
	report.rss = fixture_rss;
	report.rss_count = 4;
	report.loss.events = 123456;
	report.coverage.stacks = "dwarf";
	report.coverage.malloc_mode = "sampled";
	report.coverage.malloc_sample_bytes = 65536;
	report.coverage.blind_spots = fixture_spots;
	report.coverage.blind_spot_count = 1;
	report.cgroup.limit_bytes = VMT_FIGURE_UNKNOWN;
	return report;
}

#endif
