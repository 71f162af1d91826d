/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_etcd_reply.c - what the gateway of etcd answers, decoded; and base64 both ways
 */
#include <tests/lib/testlib.h>

#include <errno.h>
#include <netd/cluster/inner.h>
#include <stdio.h>

#define HEAD "{\"header\":{\"cluster_id\":\"1\",\"revision\":\"7\",\"raft_term\":\"2\"}"

static const struct row {
	const char *text;
	bool stream;
	int want, rc;
	const char *seen;       /* revision, what was decided, and key=value@modified of each */
} rows[] = {
	{ HEAD "}", false, 0, 0, "7" },
	{ HEAD ",\"succeeded\":true,\"responses\":[{\"response_put\":{}}]}", false, 0, 0, "7 yes" },
	{ HEAD ",\"responses\":[{\"response_range\":{\"kvs\":[{\"key\":\"YQ==\",\"mod_revision\":\"5\","
	  "\"value\":\"Yg==\"}]}},{\"response_range\":{}}]}", false, 0, 0, "7 a=b@5" },
	{ HEAD ",\"kvs\":[{\"key\":\"YQ==\",\"create_revision\":\"3\",\"mod_revision\":\"9007199254740993\"}],"
	  "\"more\":true}", false, 0, 0, "7 more a=@9007199254740993" },
	{ "{\"result\":" HEAD ",\"events\":[{\"kv\":{\"key\":\"YQ==\",\"value\":\"YmM=\",\"mod_revision\":"
	  "\"7\"}},{\"type\":\"DELETE\",\"kv\":{\"key\":\"ZGVm\",\"mod_revision\":\"7\"}}]}}", true, 0, 0,
	  "7 a=bc@7 -def=@7" },
	{ "{\"result\":" HEAD ",\"ID\":\"77\",\"TTL\":\"5\"}}", false, 0, 0, "7 lease 77 of 5" },
	{ "{\"error\":\"etcdserver: mvcc: required revision has been compacted\",\"code\":11,\"message\":"
	  "\"etcdserver: mvcc: required revision has been compacted\"}", false, 0, -ESTALE, NULL },
	{ "{\"error\":\"etcdserver: request timed out\",\"code\":14}", false, 0, -ETIMEDOUT, NULL },
	{ "{\"error\":\"etcdserver: no leader\",\"code\":14}", false, 0, -ENOTCONN, NULL },
	{ "{\"error\":\"all SubConns are in TransientFailure, latest connection error: connection error: desc = "
	  "\\\"transport: Error while dialing dial tcp 127.0.0.1:2379: connect: connection refused\\\"\","
	  "\"code\":14}", false, 0, -ENOTCONN, NULL },
	{ "{\"error\":\"etcdserver: leader changed\",\"code\":14}", false, 0, -ETIMEDOUT, NULL },
	{ "{\"error\":\"etcdserver: server stopped\",\"code\":14}", false, 0, -ETIMEDOUT, NULL },
	{ "{\"error\":\"transport is closing\",\"code\":14}", false, 0, -ETIMEDOUT, NULL },
	{ "{\"error\":\"context canceled\",\"code\":1}", false, 0, -ETIMEDOUT, NULL },
	{ "{\"error\":\"raft: stopped\",\"code\":2}", false, 0, -ETIMEDOUT, NULL },
	{ "{\"error\":\"etcdserver: mvcc: database space exceeded\",\"code\":8}", false, 0, -ENOSPC, NULL },
	{ "{\"error\":\"etcdserver: request is too large\",\"code\":3}", false, 0, -EMSGSIZE, NULL },
	{ "{\"error\":\"etcdserver: too many requests\",\"code\":8}", false, 0, -EAGAIN, NULL },
	{ "{\"error\":{\"grpc_code\":16,\"message\":\"no\"}}", true, 0, -EACCES, NULL },
	{ "{\"code\":5,\"message\":\"etcdserver: requested lease not found\"}", false, 0, -ENOENT, NULL },
	{ "", false, -EPROTO, 0, NULL },
	{ "<html>", false, -EPROTO, 0, NULL },
	{ "[]", false, -EPROTO, 0, NULL },
	{ "{}", false, -EPROTO, 0, NULL },
	{ HEAD ",\"kvs\":[{\"key\":\"Y\"}]}", false, -EPROTO, 0, NULL },
	{ HEAD ",\"kvs\":[{\"key\":\"Y!==\"}]}", false, -EPROTO, 0, NULL },
	{ HEAD ",\"kvs\":[7]}", false, 0, 0, "7 =@0" },
	{ "{\"header\":7}", false, -EPROTO, 0, NULL },
};

static void show(const struct etcd_reply *r, char *buf, size_t size)
{
	int n = snprintf(buf, size, "%lld%s%s", (long long)r->revision, r->succeeded ? " yes" : "",
			 r->more ? " more" : "");

	if (r->lease)
		n += snprintf(buf + n, size - (size_t)n, " lease %lld of %lld", (long long)r->lease,
			      (long long)r->ttl_s);
	for (size_t i = 0; i < r->n; i++)
		n += snprintf(buf + n, size - (size_t)n, " %s%s=%s@%lld", r->kvs[i].deleted ? "-" : "",
			      r->kvs[i].key, r->kvs[i].value, (long long)r->kvs[i].modified);
}

static void replies(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct answer a = { 0 };
		char seen[256];

		assert_int_equal(reply_parse(rows[i].text, strlen(rows[i].text), rows[i].stream, &a),
				 rows[i].want);
		assert_int_equal(a.rc, rows[i].rc);
		show(&a.reply, seen, sizeof(seen));
		if (rows[i].seen)
			assert_string_equal(seen, rows[i].seen);
		arena_fini(&a.arena);
	}
}

static void base64(void **state)
{
	char data[600];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7);
	for (size_t n = 0; n < sizeof(data); n++) {
		struct arena arena = { 0 };
		struct buf b = { 0 };
		size_t len;
		char *back;

		put_base64(&b, data, n);
		buf_add(&b, "", 1);
		back = take_base64(&arena, b.data, &len);
		assert_non_null(back);
		assert_int_equal(len, n);
		assert_memory_equal(back, data, n);
		buf_fini(&b);
		arena_fini(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies),
		cmocka_unit_test(base64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
