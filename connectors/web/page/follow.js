// A channel into a store and a table: what every list of records does.

/**
 * Follow `channel` into `store` (a Ring or a Latest). `table` says what is known where nothing is there;
 * `changed(records)` is called after each change. Return what ends it.
 */
export function follow(feed, channel, { store, table, changed }) {
  table?.loading();
  const take = (how) => (records) => {
    (store[how] ?? store.add).call(store, records);
    if (how === "replace") table?.loaded();
    changed(records);
  };
  return feed.subscribe(channel, {
    snapshot: take("replace"),
    delta: take("add"),
    retracted: (records) => {
      store.retract?.(records);
      changed([]);
    },
    reset: () => {
      store.clear();
      changed([]);
    },
    refused: (reason, kind) => {
      store.clear();
      table?.failed(reason, kind);
      changed([]);
    },
  });
}
