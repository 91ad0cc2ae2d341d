import { json, type SimulatedResponse } from './responses.ts';

/** 401, JSON: the token is unknown, expired or revoked. Its text quotes the token, as Intuit's does. */
export function tokenFault(token: string): SimulatedResponse {
  const message = 'message=AuthenticationFailed; errorCode=003200; statusCode=401';
  return gatewayFault(401, { message, detail: `Token expired: ${token}`, code: '3200' });
}

/** 403, JSON: a company of the other environment. */
export function companyFault(): SimulatedResponse {
  const message = 'message=ApplicationAuthorizationFailed; errorCode=003100; statusCode=403';
  return gatewayFault(403, { message, detail: '', code: '3100' });
}

/** 401, XML: the token is for another company. Its text quotes the token too. */
export function authorizationFault(token: string, at: Date): SimulatedResponse {
  const body = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<IntuitResponse time="${at.toISOString()}" xmlns="http://schema.intuit.com/finance/v3">
  <Fault type="AuthenticationFault">
    <Error code="100">
      <Message>General Authentication Error</Message>
      <Detail>AuthenticationErrorGeneral: Authorization Failure for token ${token}</Detail>
    </Error>
  </Fault>
</IntuitResponse>
`;
  return { status: 401, headers: { 'content-type': 'text/xml' }, body };
}

/** 400, JSON: QuickBooks rejects the request. */
export function validationFault(code: string, Message: string, Detail: string, at: Date): SimulatedResponse {
  return json(400, {
    Fault: { Error: [{ Message, Detail, code }], type: 'ValidationFault' },
    time: at.toISOString(),
  });
}

/** 429, JSON: the company was called too often. */
export function throttleFault(): SimulatedResponse {
  const message = 'message=ThrottleExceeded; errorCode=003001; statusCode=429';
  return gatewayFault(
    429,
    { message, detail: 'The request limit was reached. Try again later', code: '3001' },
    'SERVICE',
  );
}

function gatewayFault(
  status: number,
  error: { message: string; detail: string; code: string },
  type = 'AUTHENTICATION',
): SimulatedResponse {
  return json(status, {
    warnings: null,
    intuitObject: null,
    fault: { error: [{ ...error, element: null }], type },
    report: null,
    queryResponse: null,
    batchItemResponse: [],
    attachableResponse: [],
    syncErrorResponse: null,
    requestId: null,
    status: null,
    cdcresponse: [],
  });
}
