"""Print an answer as it comes, stop when you have seen enough, and never take a cut answer for a whole one."""

from served import served

from xdm_integrations import Client, StreamInterruptedError

with served(), Client() as client:
    try:
        with client.stream("Count to ten:", temperature=0) as stream:
            for chunk in stream:
                print(chunk.text, end="")
        print("\n" + stream.completion.finish_reason, stream.completion.usage.completion_tokens)
    except StreamInterruptedError as error:  # raised even if the gateway pretends that all is well
        print("cut off after:", error.text)

    with client.stream("Once upon a time", temperature=0) as stream:
        for chunk in stream:
            print(chunk.text, end="")
            if "." in chunk.text:
                break  # leaving the block closes the connection, and ends the generation
    print()

# Output:
#  1, 2, 3, 4, 5, 6, 7, 8, 9, 10
# stop 21
#  there was a small server that answered every question.
