/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * request.c - what is asked of etcd, as the gateway reads it
 *
 * Room: cluster.  A request holds base64 and numbers only, so its text is put together here.
 * Source: etcd's rpc.proto, in the names of the JSON mapping.
 * May include: netd/base.
 */
#include "inner.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static void put_key(struct buf *out, const char *name, const char *key)
{
	buf_printf(out, "\"%s\":\"", name);
	put_base64(out, key, strlen(key));
	buf_str(out, "\"");
}

/* The text, which is the caller's; NULL: no memory. */
static char *take_text(struct buf *b)
{
	char *text = b->failed ? NULL : b->data;

	if (!text)
		free(b->data);
	*b = (struct buf){ 0 };
	return text;
}

const char *etcd_prefix_end(const char *prefix, char buf[64])
{
	int n = snprintf(buf, 64, "%.63s", prefix);

	if (n > 0 && n < 64)
		buf[n - 1]++;
	return buf;
}

int etcd_get(struct etcd *etcd, const struct etcd_range *range, etcd_done done, void *arg)
{
	struct buf b = { 0 };

	buf_str(&b, "{");
	put_key(&b, "key", range->from);
	if (range->end) {
		buf_str(&b, ",");
		put_key(&b, "range_end", range->end);
	}
	if (range->limit)
		buf_printf(&b, ",\"limit\":\"%u\"", range->limit);
	if (range->revision)
		buf_printf(&b, ",\"revision\":\"%" PRId64 "\"", range->revision);
	buf_str(&b, "}");
	return call_send(etcd, "/v3/kv/range", take_text(&b), true, done, arg);
}

static void put_comma(struct buf *b)
{
	if (b->len)
		buf_str(b, ",");
}

void etcd_txn_expect(struct etcd_txn *txn, const char *key, int64_t modified)
{
	put_comma(&txn->compare);
	buf_str(&txn->compare, "{\"target\":\"MOD\",\"result\":\"EQUAL\",");
	put_key(&txn->compare, "key", key);
	buf_printf(&txn->compare, ",\"mod_revision\":\"%" PRId64 "\"}", modified);
}

void etcd_txn_exists(struct etcd_txn *txn, const char *key)
{
	put_comma(&txn->compare);
	buf_str(&txn->compare, "{\"target\":\"CREATE\",\"result\":\"GREATER\",");
	put_key(&txn->compare, "key", key);
	buf_str(&txn->compare, ",\"create_revision\":\"0\"}");
}

void etcd_txn_holds(struct etcd_txn *txn, const char *key, const char *value)
{
	put_comma(&txn->compare);
	buf_str(&txn->compare, "{\"target\":\"VALUE\",\"result\":\"EQUAL\",");
	put_key(&txn->compare, "key", key);
	buf_str(&txn->compare, ",");
	put_key(&txn->compare, "value", value);
	buf_str(&txn->compare, "}");
}

void etcd_txn_still(struct etcd_txn *txn, const char *prefix, int64_t revision)
{
	char end[64];

	put_comma(&txn->compare);
	buf_str(&txn->compare, "{\"target\":\"MOD\",\"result\":\"LESS\",");
	put_key(&txn->compare, "key", prefix);
	buf_str(&txn->compare, ",");
	put_key(&txn->compare, "range_end", etcd_prefix_end(prefix, end));
	buf_printf(&txn->compare, ",\"mod_revision\":\"%" PRId64 "\"}", revision + 1);
}

void etcd_txn_put(struct etcd_txn *txn, const char *key, const char *value, size_t len,
		  int64_t lease)
{
	put_comma(&txn->success);
	buf_str(&txn->success, "{\"request_put\":{");
	put_key(&txn->success, "key", key);
	buf_str(&txn->success, ",\"value\":\"");
	put_base64(&txn->success, value, len);
	buf_str(&txn->success, "\"");
	if (lease)
		buf_printf(&txn->success, ",\"lease\":\"%" PRId64 "\"", lease);
	buf_str(&txn->success, "}}");
}

void etcd_txn_delete(struct etcd_txn *txn, const char *key)
{
	put_comma(&txn->success);
	buf_str(&txn->success, "{\"request_delete_range\":{");
	put_key(&txn->success, "key", key);
	buf_str(&txn->success, "}}");
}

void etcd_txn_see(struct etcd_txn *txn, const char *key)
{
	put_comma(&txn->failure);
	buf_str(&txn->failure, "{\"request_range\":{");
	put_key(&txn->failure, "key", key);
	buf_str(&txn->failure, "}}");
}

static void put_list(struct buf *out, const char *name, const struct buf *list)
{
	out->failed |= list->failed;
	buf_printf(out, "%s\"%s\":[", out->len > 1 ? "," : "", name);
	if (list->len)
		buf_add(out, list->data, list->len);
	buf_str(out, "]");
}

int etcd_txn_send(struct etcd *etcd, struct etcd_txn *txn, etcd_done done, void *arg)
{
	struct buf b = { 0 };

	buf_str(&b, "{");
	put_list(&b, "compare", &txn->compare);
	put_list(&b, "success", &txn->success);
	put_list(&b, "failure", &txn->failure);
	buf_str(&b, "}");
	etcd_txn_fini(txn);
	return call_send(etcd, "/v3/kv/txn", take_text(&b), false, done, arg);
}

void etcd_txn_fini(struct etcd_txn *txn)
{
	buf_fini(&txn->compare);
	buf_fini(&txn->success);
	buf_fini(&txn->failure);
}

int etcd_lease_grant(struct etcd *etcd, int64_t ttl_s, etcd_done done, void *arg)
{
	struct buf b = { 0 };

	buf_printf(&b, "{\"TTL\":\"%" PRId64 "\"}", ttl_s);
	return call_send(etcd, "/v3/lease/grant", take_text(&b), true, done, arg);
}

static int ask_lease(struct etcd *etcd, const char *path, int64_t lease, etcd_done done, void *arg)
{
	struct buf b = { 0 };

	buf_printf(&b, "{\"ID\":\"%" PRId64 "\"}", lease);
	return call_send(etcd, path, take_text(&b), true, done, arg);
}

int etcd_lease_keep(struct etcd *etcd, int64_t lease, etcd_done done, void *arg)
{
	return ask_lease(etcd, "/v3/lease/keepalive", lease, done, arg);
}

int etcd_lease_revoke(struct etcd *etcd, int64_t lease, etcd_done done, void *arg)
{
	return ask_lease(etcd, "/v3/lease/revoke", lease, done, arg);
}
