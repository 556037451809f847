// The answer of `explain`: the chosen plan as a tree of stages. Only the fields that say which
// index serves a query and how much was looked at are imitated (Explain Results).
import type { Collection } from './collection.ts';
import type { Plan, Scan } from './planner.ts';
import type { Selected, Selection } from './reads.ts';
import type { Doc } from './values.ts';

export function explainReply(
  collection: Collection,
  selection: Selection,
  selected: Selected,
  rest: Doc[] = [],
): Doc {
  const winningPlan = stages(selection, selected.plan);
  const queryPlanner = { namespace: collection.ns, winningPlan, rejectedPlans: [] };
  const executionStats = {
    executionSuccess: true,
    nReturned: selected.hits.length,
    executionTimeMillis: 0,
    totalKeysExamined: selected.keysExamined,
    totalDocsExamined: selected.docsExamined,
    executionStages: winningPlan,
  };
  if (rest.length === 0) return { explainVersion: '1', queryPlanner, executionStats, ok: 1 };
  const head = { $cursor: { queryPlanner, executionStats } };
  return { explainVersion: '1', stages: [head, ...rest], ok: 1 };
}

function stages(selection: Selection, plan: Plan): Doc {
  const sort = selection.sort ?? {};
  const asked = Object.keys(sort).length > 0;
  let stage = source(selection, plan, asked);
  if (asked && !plan.sorted) stage = { stage: 'SORT', sortPattern: sort, inputStage: stage };
  if (selection.skip) stage = { stage: 'SKIP', skipAmount: selection.skip, inputStage: stage };
  if (selection.limit) stage = { stage: 'LIMIT', limitAmount: selection.limit, inputStage: stage };
  return stage;
}

function source({ filter }: Selection, plan: Plan, asked: boolean): Doc {
  if (plan.kind === 'COLLSCAN') return { stage: 'COLLSCAN', filter, direction: 'forward' };
  const ranges = plan.scans.flatMap((scan) => scan.ranges.map(() => scan));
  if (asked && plan.sorted && ranges.length > 1) {
    return fetch(filter, { stage: 'SORT_MERGE', inputStages: ranges.map(keyScan) });
  }
  if (plan.kind === 'OR') {
    return fetch(filter, { stage: 'OR', inputStages: plan.scans.map(keyScan) });
  }
  const [scan] = plan.scans;
  return fetch(filter, scan === undefined ? { stage: 'EOF' } : keyScan(scan));
}

function fetch(filter: Doc, inputStage: Doc): Doc {
  return { stage: 'FETCH', filter, inputStage };
}

function keyScan({ index, backward, ranges }: Scan): Doc {
  return {
    stage: 'IXSCAN',
    keyPattern: index.spec.key,
    indexName: index.spec.name,
    isMultiKey: index.arrays.size > 0,
    isUnique: index.spec.unique === true,
    isSparse: false,
    isPartial: index.spec.partialFilterExpression !== undefined,
    direction: backward ? 'backward' : 'forward',
    bounded: ranges.every(({ low }) => low !== ''),
  };
}
