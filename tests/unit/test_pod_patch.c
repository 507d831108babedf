/* What is written can be patched in, and what a container has is kept. */
#include "tools/cmd/pod_patch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What is written for a workload, to be freed; NULL: nothing, and err says why. */
static char *
written(const struct vmt_pod_patch *patch, const char *workload, struct vmt_err *err)
{
	char *text = NULL;
	size_t length;
	FILE *in = fmemopen((void *)(uintptr_t)workload, strlen(workload), "r");
	FILE *out = open_memstream(&text, &length);
	int result;

	assert_true(in && out);
	result = vmt_pod_patch_write(patch, in, out, err);
	fclose(in);
	fclose(out);
	assert_int_equal(result == 0, length > 0);
	if (result == 0)
		return text;
	free(text);
	return NULL;
}

static void
every_container_is_recorded(void **state)
{
	static const char expected[] =
	    "spec:\n"
	    "  template:\n"
	    "    spec:\n"
	    "      initContainers:\n"
	    "        - name: vmtrace-install\n"
	    "          image: \"registry.example/vmtrace:1\"\n"
	    "          command: [/vmtrace-install, /vmtrace]\n"
	    "          volumeMounts:\n"
	    "            - {name: vmtrace, mountPath: /vmtrace}\n"
	    "      containers:\n"
	    "        - name: \"shop\"\n"
	    "          env:\n"
	    "            - name: LD_PRELOAD\n"
	    "              value: \"/vmtrace/libvmtrace.so:/usr/lib/libjemalloc.so.2 b.so\"\n"
	    "            - name: VMTRACE_OUTPUT\n"
	    "              value: \"/vmtrace/vmtrace.%n.%p.vmt\"\n"
	    "          volumeMounts:\n"
	    "            - {name: vmtrace, mountPath: /vmtrace}\n"
	    "        - name: \"proxy\"\n"
	    "          env:\n"
	    "            - name: LD_PRELOAD\n"
	    "              value: \"/vmtrace/libvmtrace.so\"\n"
	    "            - name: VMTRACE_OUTPUT\n"
	    "              value: \"/vmtrace/vmtrace.%n.%p.vmt\"\n"
	    "          volumeMounts:\n"
	    "            - {name: vmtrace, mountPath: /vmtrace}\n"
	    "      volumes:\n"
	    "        - name: vmtrace\n"
	    "          emptyDir: {}\n";
	static const char workload[] =
	    "{\"kind\":\"Deployment\",\"spec\":{\"template\":{\"spec\":{\"containers\":["
	    "{\"name\":\"shop\",\"env\":[{\"name\":\"A\",\"value\":\"b\"},{\"name\":\"LD_PRELOAD\","
	    "\"value\":\"/usr/lib/libjemalloc.so.2 b.so\"}]},{\"name\":\"proxy\"}]}}}}";
	const struct vmt_pod_patch patch = {.image = "registry.example/vmtrace:1"};
	struct vmt_err err = {""};
	char *text = written(&patch, workload, &err);

	(void)state;
	assert_string_equal(text, expected);
	free(text);
}

static void
one_container_is_chosen_by_its_name(void **state)
{
	static const char workload[] =
	    "{\"kind\":\"StatefulSet\",\"spec\":{\"template\":{\"spec\":{\"containers\":["
	    "{\"name\":\"shop\"},{\"name\":\"proxy\",\"env\":[{\"name\":\"LD_PRELOAD\","
	    "\"valueFrom\":{}}]}]}}}}";
	struct vmt_pod_patch patch = {.image = "i", .container = "shop", .is_musl = true};
	struct vmt_err err = {""};
	char *text = written(&patch, workload, &err);

	(void)state;
	assert_non_null(strstr(text, "- name: \"shop\""));
	assert_non_null(strstr(text, "[/vmtrace-install, --musl, /vmtrace]"));
	assert_null(strstr(text, "proxy"));
	free(text);
	patch.container = "another";
	assert_null(written(&patch, workload, &err));
	assert_string_equal(err.text, "there is no container another");
}

static void
what_can_not_be_patched_is_refused(void **state)
{
#define POD(inside) "{\"kind\":\"Deployment\",\"spec\":{\"template\":{\"spec\":" inside "}}}"
	static const struct {
		const char *workload;
		const char *says;
	} wrong[] = {
	    {" ", "this is no JSON"},
	    {"[", "this is no JSON"},
	    {"kind: Deployment", "this is no JSON"},
	    {"[]", "a document without a kind has no spec.template.spec.containers"},
	    {"{\"kind\":\"Pod\",\"spec\":{\"containers\":[]}}", "a Pod has no spec.template"},
	    {"{\"kind\":\"Job\",\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"a\"}]"
	     "}}}}",
	     "the template of a Job can't be changed"},
	    {"{\"kind\":7}", "a document without a kind"},
	    {POD("{\"containers\":{}}"), "a Deployment has no spec.template.spec.containers"},
	    {POD("{\"containers\":[]}"), "there is no container with a name"},
	    {POD("{\"containers\":[{\"name\":1},null,[],\"x\"]}"),
	     "there is no container with a name"},
	    {POD("{\"containers\":[{\"name\":\"a\",\"env\":[{\"name\":\"LD_PRELOAD\","
		 "\"valueFrom\":{\"configMapKeyRef\":{}}}]}]}"),
	     "container a has LD_PRELOAD from elsewhere"},
	    {POD("{\"containers\":[{\"name\":\"a\",\"env\":[{\"name\":\"LD_PRELOAD\","
		 "\"value\":\"/vmtrace/libvmtrace.so\"}]}]}"),
	     "container a loads libvmtrace.so already"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct vmt_err err = {""};

		assert_null(
		    written(&(struct vmt_pod_patch){.image = "i"}, wrong[i].workload, &err));
		if (!strstr(err.text, wrong[i].says))
			fail_msg("%s: %s", wrong[i].workload, err.text);
	}
}

/* Of a name that stands twice the last one counts. */
static void
the_last_of_several_is_kept(void **state)
{
	static const char workload[] = POD("{\"containers\":[{\"name\":\"a\",\"env\":[{\"name\":"
					   "\"LD_PRELOAD\",\"value\":\"/1.so\"},"
					   "{\"name\":\"LD_PRELOAD\",\"value\":\"/2.so\"}]}]}");
	struct vmt_err err = {""};
	char *text = written(&(struct vmt_pod_patch){.image = "i"}, workload, &err);

	(void)state;
	assert_non_null(strstr(text, "value: \"/vmtrace/libvmtrace.so:/2.so\"\n"));
	assert_null(strstr(text, "/1.so"));
	free(text);
}

static void
what_is_not_seen_is_said(void **state)
{
	static const char workload[] = POD(
	    "{\"containers\":[{\"name\":\"a\",\"envFrom\":[{\"configMapRef\":{\"name\":\"c\"}}]},"
	    "{\"name\":\"b\"},{\"name\":\"c\",\"env\":[{\"name\":\"LD_PRELOAD\",\"value\":\"/"
	    "1.so\"}]}]}");
	struct vmt_pod_patch patch = {.image = "i"};
	struct vmt_err err = {""};
	char *notes = NULL;
	size_t length;

	(void)state;
	patch.notes = open_memstream(&notes, &length);
	assert_non_null(patch.notes);
	free(written(&patch, workload, &err));
	fclose(patch.notes);
	assert_string_equal(notes,
			    "vmtrace: container a: an LD_PRELOAD that its image sets or envFrom "
			    "brings is not seen here, and is replaced\n"
			    "vmtrace: container b: an LD_PRELOAD that its image sets is not seen "
			    "here, and is replaced\n");
	free(notes);
}

/* Names that would be something else in YAML stay strings. */
static void
no_name_breaks_out(void **state)
{
	static const char workload[] =
	    POD("{\"containers\":[{\"name\":\"a\\\"\\n- b: {\",\"env\":[{},{\"name\":"
		"\"LD_PRELOAD\",\"value\":\"\\u2028'\"}]}]}");
	struct vmt_err err = {""};
	char *text = written(&(struct vmt_pod_patch){.image = "'\n: #"}, workload, &err);

	(void)state;
	assert_non_null(strstr(text, "- name: \"a\\\"\\n- b: {\"\n"));
	assert_non_null(strstr(text, "image: \"'\\n: #\"\n"));
	assert_non_null(strstr(text, "value: \"/vmtrace/libvmtrace.so:\\u2028'\"\n"));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_container_is_recorded),
	    cmocka_unit_test(one_container_is_chosen_by_its_name),
	    cmocka_unit_test(what_can_not_be_patched_is_refused),
	    cmocka_unit_test(the_last_of_several_is_kept),
	    cmocka_unit_test(what_is_not_seen_is_said),
	    cmocka_unit_test(no_name_breaks_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
