#include "sample_trace.h"

#include "tools/cmd/dump_record.h"
#include "tools/cmd/event_fields.h"
#include "tools/read/trace/merge.h"

static char *out;
static size_t out_bytes;
static int trace_fd;

static struct vmt_dump_record
begin(enum vmt_emitter_form form, struct build_trace *build)
{
	struct vmt_dump_record dumped = {.stacks = true};
	struct vmt_err err = {""};
	char path[BUILD_PATH_BYTES];

	trace_fd = build_trace_memfd(build, path);
	assert_int_equal(vmt_trace_open(&dumped.trace, path, &err), 0);
	build_trace_free(build);
	vmt_emitter_begin(&dumped.emitter, open_memstream(&out, &out_bytes), form);
	assert_non_null(dumped.emitter.file);
	return dumped;
}

/* The text so far is what was expected. */
static void
end(struct vmt_dump_record *dumped, const char *expected)
{
	fclose(dumped->emitter.file);
	assert_string_equal(out, expected);
	free(out);
	vmt_trace_close(dumped->trace);
	close(trace_fd);
}

static void
an_event_names_what_its_kind_means(void **state)
{
	const struct vmt_event advice = {.time = BUILD_START + 1500000000,
					 .kind = VMT_EVENT_MADVISE,
					 .address = 0x7f0000001000,
					 .length = 8192,
					 .advice = 4,
					 .argument_a = 4096,
					 .marks = VMT_MARK_LOOKED | VMT_MARK_SAMPLED,
					 .error = 12,
					 .thread = 7,
					 .stack = 1};
	struct vmt_dump_record dumped = begin(VMT_EMITTER_JSON_LINES, sample_trace_new(NULL));

	(void)state;
	vmt_dump_record_event(&dumped, &advice);
	assert_int_equal(dumped.events, 1);
	end(&dumped,
	    "{\"time_ns\":1500000000,\"record\":\"event\",\"kind\":\"MADVISE\","
	    "\"address\":\"0x7f0000001000\",\"length\":8192,\"advice\":\"MADV_DONTNEED\","
	    "\"committed_bytes\":4096,\"committed_is_estimate\":true,\"error\":12,\"thread\":7,"
	    "\"stack_id\":1,\"frames\":[\"0x401234\",\"0x401300\",\"0x7f1111111111\"]}\n");
}

static void
committed_bytes_that_nobody_looked_at_are_left_out(void **state)
{
	const struct vmt_event unmap = {
	    .time = BUILD_START - 5, .kind = VMT_EVENT_MUNMAP, .argument_a = 99, .length = 4096};
	struct vmt_dump_record dumped = begin(VMT_EMITTER_JSON_LINES, sample_trace_new(NULL));

	(void)state;
	dumped.stacks = false;
	vmt_dump_record_event(&dumped, &unmap);
	end(&dumped, "{\"time_ns\":-5,\"record\":\"event\",\"kind\":\"MUNMAP\",\"address\":\"0x0\","
		     "\"length\":4096,\"thread\":0,\"stack_id\":0}\n");
}

static void
a_module_is_named(void **state)
{
	const struct vmt_event load = {
	    .time = BUILD_START, .kind = VMT_EVENT_MODULE_LOAD, .argument_b = 8};
	const struct vmt_event unknown = {
	    .time = BUILD_START, .kind = VMT_EVENT_MODULE_UNLOAD, .argument_b = UINT64_MAX};
	struct vmt_dump_record dumped = begin(VMT_EMITTER_TEXT, sample_trace_new(NULL));

	(void)state;
	dumped.stacks = false;
	vmt_dump_record_event(&dumped, &load);
	vmt_dump_record_event(&dumped, &unknown);
	end(&dumped, "      0.000000000 MODULE_LOAD      address=0x0 length=0 load_bias=0x0 "
		     "module_id=8 path=/usr/bin/victim "
		     "build_id=303132333435363738396162636465666768696a thread=0 stack_id=0\n"
		     "      0.000000000 MODULE_UNLOAD    address=0x0 "
		     "module_id=18446744073709551615 thread=0 stack_id=0\n");
}

static void
figures_not_given_are_left_out(void **state)
{
	const struct vmt_usage usage = {.time = BUILD_START + 1,
					.rss_bytes = 4096,
					.virtual_bytes = 8192,
					.cgroup_current_bytes = VMT_FIGURE_UNKNOWN,
					.cgroup_peak_bytes = VMT_FIGURE_UNKNOWN,
					.cgroup_limit_bytes = VMT_FIGURE_UNKNOWN,
					.cgroup_anon_bytes = VMT_FIGURE_UNKNOWN,
					.cgroup_file_bytes = VMT_FIGURE_UNKNOWN,
					.cgroup_shmem_bytes = VMT_FIGURE_UNKNOWN,
					.cgroup_oom_kills = 0,
					.peak_rss_bytes = VMT_FIGURE_UNKNOWN};
	struct vmt_dump_record dumped = begin(VMT_EMITTER_JSON_LINES, sample_trace_new(NULL));

	(void)state;
	vmt_dump_record_usage(&dumped, &usage);
	end(&dumped, "{\"time_ns\":1,\"record\":\"usage\",\"rss_bytes\":4096,"
		     "\"virtual_bytes\":8192,\"cgroup_oom_kills\":0}\n");
}

static void
a_snapshot_has_a_line_a_mapping_in_text(void **state)
{
	struct vmt_dump_record dumped = begin(VMT_EMITTER_TEXT, sample_trace_new(NULL));
	struct vmt_snapshot snapshot;
	struct vmt_err err = {""};
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(dumped.trace, &count);

	(void)state;
	assert_int_equal(vmt_snapshot_decode(&snapshot, dumped.trace, &chunks[2], &err), 0);
	snapshot.head.mappings = 2;
	vmt_dump_record_snapshot(&dumped, &snapshot);
	vmt_snapshot_decode_free(&snapshot);
	end(&dumped,
	    "      0.000000050 snapshot         index=0 reason=first source=pagemap "
	    "resident_bytes=12288 rss_before_bytes=12288 rss_after_bytes=12288 "
	    "virtual_bytes=208896 swap_bytes=4096 huge_bytes=0 peak_rss_bytes=0 shared_rss_bytes=0 "
	    "proportional_anonymous_bytes=0 "
	    "kernel_anonymous_bytes=8192 kernel_file_bytes=4096 kernel_shared_memory_bytes=0 "
	    "kernel_swap_bytes=0 kernel_page_table_bytes=45056 kernel_locked_bytes=0 "
	    "kernel_hugetlb_bytes=0 kernel_rss_error_bytes=0 duration_ns=0 cpu_ns=0 "
	    "coarse=false\n"
	    "                    mapping        start=0x400000 end=0x402000 protection=r-x "
	    "shared=false resident_bytes=4096 swapped_bytes=0 huge_bytes=0 file_bytes=4096 "
	    "zero_bytes=0 hugetlb_bytes=0 mapped_elsewhere_bytes=0 offset=0 device=2049 inode=99 "
	    "path=/usr/bin/victim\n"
	    "                    mapping        start=0x7f0000000000 end=0x7f0000010000 "
	    "protection=rw- shared=false resident_bytes=8192 swapped_bytes=4096 huge_bytes=0 "
	    "file_bytes=0 zero_bytes=4096 hugetlb_bytes=0 mapped_elsewhere_bytes=0 offset=0 "
	    "device=0 inode=0 path=\"\"\n");
}

static void
the_loss_and_the_end_come_last(void **state)
{
	struct build_trace *build = sample_trace_new(NULL);
	struct vmt_dump_record dumped;

	(void)state;
	build_trace_ring(build, 0).control->dropped[VMT_EVENT_FREE] = 3;
	dumped = begin(VMT_EMITTER_JSON_LINES, build);
	vmt_dump_record_loss(&dumped);
	vmt_dump_record_end(&dumped);
	end(&dumped,
	    "{\"record\":\"loss\",\"events_read\":0,\"events_dropped\":3,"
	    "\"events_overwritten\":0,\"slots_abandoned\":0,\"events_missing\":0,"
	    "\"events_thinned\":0,\"stacks_dropped\":0,\"samples_dropped\":0,\"cut_bytes\":0,"
	    "\"dropped\":{\"FREE\":3},\"overwritten\":{}}\n"
	    "{\"time_ns\":110,\"record\":\"end\",\"end\":\"exit\",\"status\":3,"
	    "\"snapshots\":0,\"usages\":0,\"collector_cpu_ns\":0,"
	    "\"snapshots_skipped\":0}\n");
}

static void
the_head_tells_who_it_was(void **state)
{
	struct vmt_dump_record dumped = begin(VMT_EMITTER_JSON_LINES, sample_trace_new(NULL));
	char version[64];

	(void)state;
	vmt_dump_record_head(&dumped);
	fclose(dumped.emitter.file);
	snprintf(version, sizeof(version), "\"record\":\"head\",\"version\":%d,", (int)VMT_VERSION);
	assert_non_null(strstr(out, version));
	assert_non_null(strstr(out, "\"cmdline\":[\"victim\",\"--flag\"],"));
	assert_non_null(strstr(out, "\"malloc\":\"all\","));
	free(out);
	vmt_trace_close(dumped.trace);
	close(trace_fd);
}

static void
every_kind_has_a_name_and_a_shape(void **state)
{
	char number[VMT_EVENT_FIELDS_NUMBER_BYTES];

	(void)state;
#define VMT_EVENT(name, id, ring, role, call, fields, a, b)                                        \
	assert_string_equal(vmt_event_fields_kind_name(id), #name);
#include "format/event_kinds.def"
	assert_string_equal(vmt_event_fields_kind_name(63), "UNKNOWN");
	assert_string_equal(vmt_event_fields_kind_name(255), "UNKNOWN");
	assert_int_equal(vmt_event_fields_of(255)->fields, 0);
	assert_int_equal(vmt_event_fields_of(VMT_EVENT_CALLOC)->fields, VMT_FIELD_RANGE);
	assert_string_equal(vmt_event_fields_advice_name(8, number), "MADV_FREE");
	assert_string_equal(vmt_event_fields_advice_name(6, number), "6");
	assert_string_equal(vmt_event_fields_advice_name(65535, number), "65535");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_event_names_what_its_kind_means),
	    cmocka_unit_test(committed_bytes_that_nobody_looked_at_are_left_out),
	    cmocka_unit_test(a_module_is_named),
	    cmocka_unit_test(figures_not_given_are_left_out),
	    cmocka_unit_test(a_snapshot_has_a_line_a_mapping_in_text),
	    cmocka_unit_test(the_loss_and_the_end_come_last),
	    cmocka_unit_test(the_head_tells_who_it_was),
	    cmocka_unit_test(every_kind_has_a_name_and_a_shape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
