// Who may post to an HTTP channel and read the state of what was posted there.
import { authorize } from '../access/authorize.ts';
import { type Authenticate, isUnknownCaller } from '../api/authenticate.ts';
import type { Channel } from '../model/channel.ts';
import { EngineError, toEngineError } from '../model/errors.ts';
import type { Principal } from '../model/principal.ts';
import type { ClinicalRecord } from '../record/context.ts';
import { recordDenial } from '../record/denials.ts';
import { messageHead } from '../record/message.ts';

interface ChannelDoor {
  admit(request: Parameters<Authenticate>[0], channel: Channel): Promise<Principal>;
  state(principal: Principal, channel: Channel, id: string): Promise<object | undefined>;
}

/** A token of the channel's tenant with `channel/<name>.write` opens it; denials are audited. */
export function createChannelDoor(record: ClinicalRecord, authenticate: Authenticate): ChannelDoor {
  const deny = async (principal: Principal, channel: Channel, error: EngineError) => {
    const { name } = channel;
    await recordDenial(record, principal, { action: 'deny', detail: error.code, channel: name });
    return error;
  };
  return {
    async admit(request, channel) {
      const unknown = {
        tenant: channel.tenant,
        id: '',
        scopes: [],
        peer: request.ip,
        patient: null,
      };
      let principal: Principal;
      try {
        principal = await authenticate(request);
      } catch (thrown) {
        const error = toEngineError(thrown);
        if (!isUnknownCaller(error)) throw error;
        throw await deny(unknown, channel, error);
      }
      const decision = authorize(principal, { kind: 'channel', name: channel.name });
      if (decision.allowed && principal.tenant === channel.tenant) return principal;
      const reason = decision.allowed ? 'The token is of another tenant.' : decision.reason;
      throw await deny(principal, channel, new EngineError('FORBIDDEN', reason));
    },
    async state(principal, channel, id) {
      const head = await messageHead(record, principal.tenant, id);
      if (head === undefined || head.channel !== channel.name) return undefined;
      const { state, attempts, receivedAt, changedAt } = head;
      return { id, channel: channel.name, state, attempts, receivedAt, changedAt };
    },
  };
}
