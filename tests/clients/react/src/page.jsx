import { useCallback, useState } from 'react';

// All events that a subscription's `onData` was given: plain, or tracked.
export const useCollected = () => {
  const [events, setEvents] = useState([]);
  const collect = useCallback((event) => setEvents((before) => [...before, event.data ?? event]), []);
  return [events, collect];
};

export const Page = ({ health, publishing, events, subscription }) => (
  <main>
    <p id="health">{health.error ? `error: ${health.error.message}` : health.data?.status}</p>
    <button id="publish" onClick={publishing.publish}>publish</button>
    <p id="published">{publishing.error ? publishing.error.data?.code : publishing.data?.id}</p>
    <p id="status">{subscription.status}</p>
    <p id="error">{subscription.error?.data?.code}</p>
    <ol id="events">
      {events.map((event, index) => <li key={index}>{event.message}</li>)}
    </ol>
  </main>
);

// What the button publishes.
export const pressed = (task) => ({
  topic: 'task.progress',
  payload: { taskId: task, phase: 'impl', progress: 1, message: 'pressed' },
});
